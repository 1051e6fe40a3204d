-- Forgets nodes that have been idle since before a time and have no child that waits.
--
-- KEYS: 1 nodes, 2 turns, 3 idle. ARGV: the time, how many at most. Answers how many were looked at.

local idle = redis.call('ZRANGE', KEYS[3], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, key in ipairs(idle) do
  local children = redis.call('ZRANGE', KEYS[2], '[' .. key .. '\0', '(' .. key .. '\1', 'BYLEX', 'LIMIT', 0, 1)
  if #children == 0 then
    redis.call('HDEL', KEYS[1], key)
    redis.call('ZREM', KEYS[3], key)
  end
end
return #idle
