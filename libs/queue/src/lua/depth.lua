-- Counts without reading entries. KEYS: set of environments. ARGV: prefix of the work streams, then the environments asked for
-- (none for all that have entries). Answers {environment, waiting, leased, age of the oldest waiting one in ms or -1} for each.
local prefix = ARGV[1]
local names = {}
for i = 2, #ARGV do names[#names + 1] = ARGV[i] end
if #names == 0 then names = redis.call('SMEMBERS', KEYS[1]) end
table.sort(names)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for _, name in ipairs(names) do
  local stream = prefix .. name
  local length, pending, last = redis.call('XLEN', stream), 0, '0-0'
  if length > 0 then
    local groups = redis.call('XINFO', 'GROUPS', stream)
    for field = 1, #(groups[1] or {}), 2 do
      if groups[1][field] == 'pending' then pending = groups[1][field + 1] end
      if groups[1][field] == 'last-delivered-id' then last = groups[1][field + 1] end
    end
  end
  local age = -1
  if length > pending then
    local oldest = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)
    if #oldest > 0 then age = math.max(0, now - tonumber(string.match(oldest[1][1], '^%d+'))) end
  end
  answer[#answer + 1] = { name, length - pending, pending, age }
end
return answer
