-- The order in which tasks are next, for the scripts that ask for it: whoever has the least virtual time under each node.

-- Members of a sorted set that begin with a text and a zero byte, in their order.
local function first(key, beginning, most)
  return redis.call('ZRANGE', key, '[' .. beginning .. '\0', '(' .. beginning .. '\1', 'BYLEX', 'LIMIT', 0, most)
end

-- Down the tree for a worker with these models: model, class and tenant as one text, and the users who are next there, at
-- most so many. Nothing where nobody waits.
local function next_users(turns_key, nodes_key, models, most)
  local least, path
  for _, model in ipairs(models) do
    local packed = redis.call('HGET', nodes_key, '1' .. model)
    if packed then
      local virtual_time, standing = string.match(packed, '^(%d+) %d+ (%d)')
      virtual_time = tonumber(virtual_time)
      if standing == '1' and (not least or virtual_time < least or (virtual_time == least and model < path)) then
        least, path = virtual_time, model
      end
    end
  end
  if not least then return nil end
  for depth = 1, 3 do
    local turns = first(turns_key, depth .. path, depth == 3 and most or 1)
    if #turns == 0 then return nil end
    -- a turn is its parent, a virtual time of 16 digits and a name
    local names = {}
    for at, turn in ipairs(turns) do names[at] = string.sub(turn, #path + 19) end
    if depth == 3 then return path, names end
    path = path .. '\0' .. names[1]
  end
end

