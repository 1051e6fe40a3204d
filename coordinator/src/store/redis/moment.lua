-- Looks, at one moment, whether claims about rows hold. Only reads.
--
-- KEYS: by number. ARGV: the claims, each one a number of conditions, then the conditions (command, key, member, value,
-- '1' = that is the answer or '0' = it is not; an empty value = no answer). Answers 1 or 0 for each claim.

local answers = {}
local at = 1
while at <= #ARGV do
  local conditions = tonumber(ARGV[at])
  at = at + 1
  local holds = 1
  for _ = 1, conditions do
    local found = redis.call(ARGV[at], KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2])
    -- SISMEMBER answers with a number
    found = found and tostring(found) or ''
    if (found == ARGV[at + 3]) ~= (ARGV[at + 4] == '1') then holds = 0 end
    at = at + 5
  end
  answers[#answers + 1] = holds
end
return answers
