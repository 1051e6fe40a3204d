-- Forgets nodes that have been idle since before a time and have no child that waits.
--
-- KEYS: 1 nodes, 2 turns, 3 idle, 4 meta. ARGV: the time, how many at most. Answers how many were looked at.

local idle = redis.call('ZRANGE', KEYS[3], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, key in ipairs(idle) do
  local children = redis.call('ZRANGE', KEYS[2], '[' .. key .. '\0', '(' .. key .. '\1', 'BYLEX', 'LIMIT', 0, 1)
  if #children == 0 then
    redis.call('HDEL', KEYS[1], key)
    redis.call('ZREM', KEYS[3], key)
  end
end
-- the shares have changed
if #idle > 0 then redis.call('HINCRBY', KEYS[4], 'shares', 1) end
return #idle
