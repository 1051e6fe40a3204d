-- Makes one set of changes if nothing that they were computed from has changed, and only once however often it is sent.
--
-- KEYS: 1 this commit, 2 meta, 3 events, 4 queue, 5 turns, 6 nodes, 7 idle, 8 in_flight, 9 kept_back; the arguments name
-- the rest by number.
-- ARGV: time of the change, how long to remember the commit (ms), events to keep, number of guards; then the guards
-- (key, field, value; an empty value = no such field; key 0 = a user, as the path of its node, must be next for a worker
-- with models, which follow one another in `field`, each with a byte 1 behind it); then the changes (name, key, number of arguments, arguments).
-- Answers OK (the changes stand) or RACE (nothing was changed: read anew).

if redis.call('EXISTS', KEYS[1]) == 1 then
  -- something is written all the same: a WAIT that follows waits for this connection's newest write, and for all before
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 'OK'
end

local at = 5
for _ = 1, tonumber(ARGV[4]) do
  local key, found = tonumber(ARGV[at])
  if key == 0 then
    local models = {}
    for model in string.gmatch(ARGV[at + 1], '([^\1]*)\1') do table.insert(models, model) end
    local path, users = next_users(KEYS[5], KEYS[6], models, 1)
    found = path and path .. '\0' .. users[1]
  else
    found = redis.call('HGET', KEYS[key], ARGV[at + 1]) or ''
  end
  if found ~= ARGV[at + 2] then return 'RACE' end
  at = at + 3
end

-- The tree of shares: the same steps as `fair/mod.rs`, which says what they are for. Numbers stay below 2^53.

local IDLE, ACTIVE, KEPT_BACK = '0', '1', '2'
local now = tonumber(ARGV[1])
local function whole(number) return string.format('%.0f', number) end

local function read_nodes(keys)
  local found = redis.call('HMGET', KEYS[6], unpack(keys))
  for at, packed in ipairs(found) do
    if packed then
      local time, floor, standing, idle = string.match(packed, '^(%d+) (%d+) (%d) (%d+)$')
      found[at] = { time = tonumber(time), floor = tonumber(floor), standing = standing, idle = tonumber(idle),
        packed = packed, was_time = tonumber(time), was_standing = standing }
    else
      found[at] = { time = 0, floor = 0, standing = IDLE, idle = now }
    end
  end
  return found
end

-- Nodes and turns that are to be written, so that many go with one command.
local nodes, turns_gone, turns_come = {}, {}, {}
local function write_nodes()
  if #nodes > 0 then redis.call('HSET', KEYS[6], unpack(nodes)) end
  if #turns_gone > 0 then redis.call('ZREM', KEYS[5], unpack(turns_gone)) end
  if #turns_come > 0 then redis.call('ZADD', KEYS[5], unpack(turns_come)) end
  nodes, turns_gone, turns_come = {}, {}, {}
end

local function keep(key, parent, name, node)
  local packed = whole(node.time) .. ' ' .. whole(node.floor) .. ' ' .. node.standing .. ' ' .. whole(node.idle)
  if packed == node.packed then return end
  if not node.packed and node.time == 0 and node.floor == 0 and node.standing == IDLE then return end
  table.insert(nodes, key)
  table.insert(nodes, packed)
  if not parent then return end
  local function turn(time) return parent .. '\0' .. string.format('%016x', time) .. name end
  if node.was_standing == ACTIVE then
    if node.standing == ACTIVE and node.time == node.was_time then return end
    table.insert(turns_gone, turn(node.was_time))
  elseif node.was_standing == IDLE and node.standing ~= IDLE then
    redis.call('ZREM', KEYS[7], key)
  elseif node.was_standing == KEPT_BACK and node.standing ~= KEPT_BACK then
    redis.call('SREM', KEYS[9], key)
  end
  if node.standing == ACTIVE then
    table.insert(turns_come, 0)
    table.insert(turns_come, turn(node.time))
  elseif node.standing == IDLE then
    redis.call('ZADD', KEYS[7], whole(node.idle), key)
  else
    redis.call('SADD', KEYS[9], key)
  end
end

local function has_child(key)
  write_nodes()
  return #redis.call('ZRANGE', KEYS[5], '[' .. key .. '\0', '(' .. key .. '\1', 'BYLEX', 'LIMIT', 0, 1) > 0
end

local function count(party, by)
  local after = redis.call('HINCRBY', KEYS[8], party, by)
  if after <= 0 then redis.call('HDEL', KEYS[8], party) end
  return after - by, math.max(after, 0)
end

-- From the user's node up to the model's. `change` is nil where only the order is looked at.
local function pass(model, class, share, change)
  local lane = model .. '\0' .. class
  local keys = { '4' .. lane .. '\0' .. share.tenant .. '\0' .. share.user, '3' .. lane .. '\0' .. share.tenant,
    '2' .. lane, '1' .. model, '0' }
  local names = { share.user, share.tenant, class, model }
  local path = read_nodes(keys)
  for level = 1, 4 do
    local node, parent = path[level], path[level + 1]
    if change and (change.charge ~= 0 or change.served) then
      local start = math.max(node.time, parent.floor)
      local by = math.floor(math.abs(change.charge) * 100 / share.weights[level])
      if change.served then
        node.time = start + by
        parent.floor = start
      elseif change.charge >= 0 then
        node.time = math.max(node.time + by, parent.floor)
      else
        node.time = math.max(node.time - by, parent.floor)
      end
    end
    local waits, full
    if level == 1 then
      waits = redis.call('HEXISTS', share.owner_waiting, lane) == 1
      full = share.owner_leases >= share.owner_cap
    else
      waits = path[level - 1].standing == ACTIVE or has_child(keys[level])
      full = level == 2 and share.tenant_leases >= share.tenant_cap
    end
    local standing = not waits and IDLE or full and KEPT_BACK or ACTIVE
    if standing == ACTIVE and node.standing ~= ACTIVE then
      node.time = math.max(node.time, parent.floor)
    elseif standing == IDLE and node.standing ~= IDLE then
      node.idle = now
    end
    node.standing = standing
    keep(keys[level], keys[level + 1], names[level], node)
  end
  keep(keys[5], nil, nil, path[5])
  write_nodes()
end

local function change_waiting(key, lane, gone, come)
  local tasks, cost = string.match(redis.call('HGET', key, lane) or '0 0', '^(%d+) (%d+)$')
  tasks, cost = tonumber(tasks), tonumber(cost)
  if gone ~= '' then tasks, cost = math.max(tasks - 1, 0), math.max(cost - tonumber(gone), 0) end
  if come ~= '' then tasks, cost = tasks + 1, cost + tonumber(come) end
  if tasks == 0 then redis.call('HDEL', key, lane) else redis.call('HSET', key, lane, whole(tasks) .. ' ' .. whole(cost)) end
end

local function share_out(owner_waiting, at)
  local tenant_waiting, model, class = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  local tenant, user = ARGV[at + 3], ARGV[at + 4]
  local share = { owner_waiting = owner_waiting, tenant = tenant, user = user, owner = tenant .. '/' .. user,
    owner_cap = tonumber(ARGV[at + 5]), tenant_cap = tonumber(ARGV[at + 6]),
    weights = { tonumber(ARGV[at + 12]), tonumber(ARGV[at + 13]), tonumber(ARGV[at + 14]), tonumber(ARGV[at + 15]) } }
  local gone, come, leases = ARGV[at + 7], ARGV[at + 8], tonumber(ARGV[at + 9])
  local change = { served = ARGV[at + 10] == '1', charge = tonumber(ARGV[at + 11]) }
  if gone ~= '' or come ~= '' then
    change_waiting(owner_waiting, model .. '\0' .. class, gone, come)
    change_waiting(tenant_waiting, model .. '\0' .. class, gone, come)
  end
  local tenant_crosses = false
  if leases ~= 0 then
    local _, owner_leases = count(share.owner, leases)
    local before, after = count(tenant, leases)
    tenant_crosses = (before < share.tenant_cap) ~= (after < share.tenant_cap)
    share.owner_leases, share.tenant_leases = owner_leases, after
  else
    local counted = redis.call('HMGET', KEYS[8], share.owner, tenant)
    share.owner_leases, share.tenant_leases = tonumber(counted[1] or '0'), tonumber(counted[2] or '0')
  end
  pass(model, class, share, change)
  if leases ~= 0 then
    for _, lane in ipairs(redis.call('HKEYS', tenant_crosses and tenant_waiting or owner_waiting)) do
      if lane ~= model .. '\0' .. class then
        local its_model, its_class = string.match(lane, '^(%Z*)%z(%d+)$')
        pass(its_model, its_class, share, nil)
      end
    end
  end
end

while at <= #ARGV do
  local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  at = at + 3
  if name == 'SHARE' then
    share_out(key, at)
    -- whoever reads all of the shares, one after another, sees by this whether they are of one moment
    redis.call('HINCRBY', KEYS[2], 'shares', 1)
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
