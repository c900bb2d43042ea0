-- Leases tasks: first those whose lease expired, then new ones, spread over the environments.
-- KEYS: set of environments, executors by time, reclaim cursors.
-- ARGV: group, prefix of the work streams, executor, how many, lease in ms, turn, then the environments wanted (none for all).
-- Answers {waiting in all environments, {environment, task ids packed, how many of them are redelivered}, ...}.
local group, prefix, executor = ARGV[1], ARGV[2], ARGV[3]
local wanted, lease, turn = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
-- How many leases of one environment are looked at for having expired, in one call. A cursor remembers where to go on.
local LOOK = 500

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now, executor)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 86400000)

local filter
if #ARGV > 6 then
  filter = {}
  for i = 7, #ARGV do filter[ARGV[i]] = true end
end

local names = redis.call('SMEMBERS', KEYS[1])
table.sort(names)
local chosen, total = {}, 0
for i = 1, #names do
  local name = names[(turn + i) % #names + 1]
  local stream = prefix .. name
  local length = redis.call('XLEN', stream)
  if length > 0 then
    local groups = redis.call('XINFO', 'GROUPS', stream)
    local pending = 0
    if #groups == 0 then
      redis.call('XGROUP', 'CREATE', stream, group, '0')
    else
      for field = 1, #groups[1], 2 do
        if groups[1][field] == 'pending' then pending = groups[1][field + 1] end
      end
    end
    total = total + length - pending
    if not filter or filter[name] then
      chosen[#chosen + 1] =
        { name = name, stream = stream, pending = pending, waiting = length - pending, tasks = {}, redelivered = 0 }
    end
  end
end

for _, work in ipairs(chosen) do
  local looked, cursor, before = 0, nil, nil
  while wanted > 0 and looked < work.pending and looked < LOOK do
    before = before or redis.call('HGET', KEYS[3], work.name) or '0-0'
    cursor = cursor or before
    local claimed = redis.call('XAUTOCLAIM', work.stream, group, executor, lease, cursor, 'COUNT', wanted)
    -- Redis looks at ten times as many entries as it may claim.
    looked = looked + wanted * 10
    cursor = claimed[1]
    for _, entry in ipairs(claimed[2]) do
      work.tasks[#work.tasks + 1] = entry[2][2]
      work.redelivered = work.redelivered + 1
      wanted = wanted - 1
    end
  end
  if cursor ~= before then redis.call('HSET', KEYS[3], work.name, cursor) end
end

local open = {}
for _, work in ipairs(chosen) do
  if work.waiting > 0 then open[#open + 1] = work end
end
while wanted > 0 and #open > 0 do
  local share, more = math.ceil(wanted / #open), {}
  for _, work in ipairs(open) do
    local ask = math.min(share, wanted, work.waiting)
    if ask > 0 then
      local read = redis.call('XREADGROUP', 'GROUP', group, executor, 'COUNT', ask, 'STREAMS', work.stream, '>')
      local entries = read and read[1][2] or {}
      for _, entry in ipairs(entries) do work.tasks[#work.tasks + 1] = entry[2][2] end
      wanted = wanted - #entries
      total = total - #entries
      work.waiting = #entries == ask and work.waiting - ask or 0
      if work.waiting > 0 then more[#more + 1] = work end
    end
  end
  open = more
end

local answer = { total }
for _, work in ipairs(chosen) do
  if #work.tasks > 0 then answer[#answer + 1] = { work.name, table.concat(work.tasks), work.redelivered } end
end
return answer
