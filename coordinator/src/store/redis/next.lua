-- The task that is next for a worker with these models, and behind it guesses at those that come then: the first tasks of
-- whoever of the same tenant is next.
--
-- KEYS: 1 queue, 2 turns, 3 nodes. ARGV: how many tasks, then the models. Answers the tasks' rows in the queue.

local most = tonumber(ARGV[1])
local path, users = next_users(KEYS[2], KEYS[3], { unpack(ARGV, 2) }, most)
if not path then return {} end

-- the queue has tenant and user as one
local model, class, tenant = string.match(path, '^(%Z*)%z(%Z*)%z(%Z*)$')
local rows, each = {}, math.ceil(most / #users)
for _, user in ipairs(users) do
  local owner = model .. '\0' .. class .. '\0' .. tenant .. '/' .. user
  for _, row in ipairs(first(KEYS[1], owner, each)) do table.insert(rows, row) end
end
return rows
