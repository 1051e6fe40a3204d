-- The task that is next for a worker with these models: down the tree to the user whose turn it is, then that user's
-- first task.
--
-- KEYS: 1 queue, 2 turns, 3 nodes. ARGV: the models. Answers the task's row in the queue, or nothing.

local least, path
for _, model in ipairs(ARGV) do
  local packed = redis.call('HGET', KEYS[3], '1' .. model)
  if packed then
    local virtual_time, standing = string.match(packed, '^(%d+) %d+ (%d)')
    virtual_time = tonumber(virtual_time)
    if standing == '1' and (not least or virtual_time < least or (virtual_time == least and model < path)) then
      least, path = virtual_time, model
    end
  end
end
if not least then return false end

for depth = 1, 3 do
  local parent = depth .. path .. '\0'
  local turn = redis.call('ZRANGE', KEYS[2], '[' .. parent, '(' .. depth .. path .. '\1', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not turn then return false end
  path = path .. '\0' .. string.sub(turn, #parent + 17)
end

-- model, class, tenant and user; the queue has tenant and user as one
local model, class, tenant, user = string.match(path, '^(%Z*)%z(%Z*)%z(%Z*)%z(%Z*)$')
local start = model .. '\0' .. class .. '\0' .. tenant .. '/' .. user
return redis.call('ZRANGE', KEYS[1], '[' .. start .. '\0', '(' .. start .. '\1', 'BYLEX', 'LIMIT', 0, 1)[1] or false
