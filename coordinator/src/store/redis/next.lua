-- The task that is next for a worker with these models: down the tree to the user whose turn it is, then that user's
-- first task. Behind it, guesses at those that come then: the first tasks of whoever of the tenant is next.
--
-- KEYS: 1 queue, 2 turns, 3 nodes. ARGV: how many tasks at most, then the models. Answers the tasks' rows in the queue.

local most = tonumber(ARGV[1])
local least, path
for at = 2, #ARGV do
  local model = ARGV[at]
  local packed = redis.call('HGET', KEYS[3], '1' .. model)
  if packed then
    local virtual_time, standing = string.match(packed, '^(%d+) %d+ (%d)')
    virtual_time = tonumber(virtual_time)
    if standing == '1' and (not least or virtual_time < least or (virtual_time == least and model < path)) then
      least, path = virtual_time, model
    end
  end
end
if not least then return {} end

local function first(key, from, count)
  return redis.call('ZRANGE', key, '[' .. from .. '\0', '(' .. from .. '\1', 'BYLEX', 'LIMIT', 0, count)
end

local turns
for depth = 1, 3 do
  turns = first(KEYS[2], depth .. path, depth == 3 and most or 1)
  if #turns == 0 then return {} end
  if depth < 3 then path = path .. '\0' .. string.sub(turns[1], #path + 19) end
end

-- model, class and tenant; the queue has tenant and user as one
local model, class, tenant = string.match(path, '^(%Z*)%z(%Z*)%z(%Z*)$')
local rows = {}
for _, turn in ipairs(turns) do
  local user = string.sub(turn, #path + 19)
  local start = model .. '\0' .. class .. '\0' .. tenant .. '/' .. user
  for _, row in ipairs(first(KEYS[1], start, math.ceil(most / #turns))) do table.insert(rows, row) end
end
return rows
