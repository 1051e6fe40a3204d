-- The store went back to older data: nothing is leased for a while, and its time goes on from the newest one known.
--
-- KEYS: 1 meta. ARGV: the generation that was found, newest time known, until when nothing is leased, an identity for
-- a store that has none. Of several coordinators that notice the same, one makes the new generation.
-- Answers the generation and until when nothing is leased.

local meta = KEYS[1]
local function raise(field, value)
  if tonumber(value) > tonumber(redis.call('HGET', meta, field) or '0') then redis.call('HSET', meta, field, value) end
end

if tonumber(redis.call('HGET', meta, 'generation') or '0') == tonumber(ARGV[1]) then
  redis.call('HINCRBY', meta, 'generation', 1)
end
raise('time', ARGV[2])
raise('recovering', ARGV[3])
redis.call('HSETNX', meta, 'identity', ARGV[4])
return redis.call('HMGET', meta, 'generation', 'recovering')
