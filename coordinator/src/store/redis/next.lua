-- The task that is next for a worker with these models: the first task of the user whose turn it is.
--
-- KEYS: 1 queue, 2 turns. ARGV: the models. Answers the task's row in the queue, or nothing.

local first, owner
for _, pool in ipairs(ARGV) do
  local row = redis.call('ZRANGE', KEYS[2], '[' .. pool .. '\0', '(' .. pool .. '\1', 'BYLEX', 'LIMIT', 0, 1)[1]
  if row then
    local rank = string.sub(row, #pool + 2)
    if not first or rank < first then
      first, owner = rank, string.sub(rank, 25)
    end
  end
end
if not first then return false end

local head, place
for _, pool in ipairs(ARGV) do
  local start = pool .. '\0' .. owner .. '\0'
  local row = redis.call('ZRANGE', KEYS[1], '[' .. start, '(' .. pool .. '\0' .. owner .. '\1', 'BYLEX', 'LIMIT', 0, 1)[1]
  if row then
    local its_place = string.sub(row, #start + 1)
    if not place or its_place < place then
      head, place = row, its_place
    end
  end
end
return head or false
