-- Makes one set of changes if nothing that they were computed from has changed, and only once however often it is sent.
--
-- KEYS: 1 this commit, 2 meta, 3 events, 4 queue, 5 turns, 6 shares; the arguments name the rest by number.
-- ARGV: time of the change, how long to remember the commit (ms), events to keep, number of guards; then the guards
-- (key, field, value; an empty value = no such field); then the changes (name, key, number of arguments, arguments).
-- Answers OK (the changes stand) or RACE (nothing was changed: read anew).

if redis.call('EXISTS', KEYS[1]) == 1 then
  -- something is written all the same: a WAIT that follows waits for this connection's newest write, and for all before
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 'OK'
end

local at = 5
for _ = 1, tonumber(ARGV[4]) do
  local found = redis.call('HGET', KEYS[tonumber(ARGV[at])], ARGV[at + 1]) or ''
  if found ~= ARGV[at + 2] then return 'RACE' end
  at = at + 3
end

local time = string.format('%016x', tonumber(ARGV[1]))

local function turn(pool, share, owner) return pool .. '\0' .. share .. owner end

-- A share is 8 hexadecimal digits of leases in flight and 16 of the time last served: it sorts as a rank.
local function move(waiting, owner, in_flight, gone, gone_pool, come, come_pool)
  local share = redis.call('HGET', KEYS[6], owner) or ('00000000' .. time)
  for _, pool in ipairs(redis.call('HKEYS', waiting)) do
    redis.call('ZREM', KEYS[5], turn(pool, share, owner))
  end
  if gone ~= '' then
    redis.call('ZREM', KEYS[4], gone)
    if redis.call('HINCRBY', waiting, gone_pool, -1) <= 0 then redis.call('HDEL', waiting, gone_pool) end
  end
  if come ~= '' then
    redis.call('ZADD', KEYS[4], 0, come)
    redis.call('HINCRBY', waiting, come_pool, 1)
  end
  local leases, served = tonumber(string.sub(share, 1, 8), 16), string.sub(share, 9)
  if in_flight > 0 then
    leases, served = leases + 1, time
  elseif in_flight < 0 and leases > 0 then
    leases = leases - 1
  end
  local pools = redis.call('HKEYS', waiting)
  if leases == 0 and #pools == 0 then
    redis.call('HDEL', KEYS[6], owner)
    return
  end
  share = string.format('%08x', leases) .. served
  redis.call('HSET', KEYS[6], owner, share)
  for _, pool in ipairs(pools) do
    redis.call('ZADD', KEYS[5], 0, turn(pool, share, owner))
  end
end

while at <= #ARGV do
  local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  at = at + 3
  if name == 'MOVE' then
    move(key, ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  elseif name == 'TELL' then
    local number = redis.call('HINCRBY', KEYS[2], 'events', 1)
    redis.call('XADD', key, 'MAXLEN', '~', ARGV[3], string.format('%.0f-1', number), 'event', ARGV[at])
  else
    redis.call(name, key, unpack(ARGV, at, at + count - 1))
  end
  at = at + count
end

if tonumber(ARGV[1]) > tonumber(redis.call('HGET', KEYS[2], 'time') or '0') then
  redis.call('HSET', KEYS[2], 'time', ARGV[1])
end
redis.call('SET', KEYS[1], 1, 'PX', ARGV[2])
return 'OK'
