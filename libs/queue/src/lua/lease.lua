-- Leases tasks: first those whose lease expired, then those that were passed over, then new ones, spread over the environments.
-- Nothing is leased of a miner that is full or has as many in this answer as one may have: what is met of it is passed over.
-- KEYS: set of environments, executors by time, cursors, when there was work.
-- ARGV: group, prefix of the work streams, prefix of the passed over, executor, how many, ms after which a lease has expired, turn, most of
-- one miner (0 for any number), full miners (2 bytes each), how many environments from the turn on to look at (0 for all), how many of these
-- ms are over for a lease of this call, for how many ms the executor is active without one, 1 to take expired leases, ms for which work is
-- seen in one, then the environments wanted (none for all).
-- Answers {waiting in all environments, the turn and how many environments with which to go on (0 and 0 when it looked at everything),
-- {environment, tasks packed, how many of them are redelivered}, ...}.
local group, prefix, passed_prefix, executor = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local wanted, lease, turn, most = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
-- How many leases are looked at for having expired, in one call. A cursor for each environment remembers where to go on.
local look = 500
-- How many entries are passed over in one call, and rows of full miners hopped over. More than there can be full miners, so that the
-- environment whose turn it is gets past them.
local over = 1100
-- The miner of entries of an earlier version, which name none: never full.
local NOBODY = 65536

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gone = tonumber(ARGV[11])
redis.call('ZADD', KEYS[2], 'GT', now + tonumber(ARGV[12]), executor)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 86400000)

local function uid_at(text, at)
  return string.byte(text, at) * 256 + string.byte(text, at + 1)
end

local room, full = {}, ARGV[9]
for at = 1, #full, 2 do room[uid_at(full, at)] = 0 end

-- How many more of a miner may be leased.
local function room_for(uid)
  return room[uid] or (most > 0 and most or math.huge)
end

local span, filter = tonumber(ARGV[10]), nil
if #ARGV > 14 then
  filter = {}
  for i = 15, #ARGV do filter[ARGV[i]] = true end
end

local names = redis.call('SMEMBERS', KEYS[1])
table.sort(names)
if span == 0 then span = #names end
local chosen, total = {}, 0
for i = 1, #names do
  local name = names[(turn + i) % #names + 1]
  local stream = prefix .. name
  local length = redis.call('XLEN', stream)
  if length > 0 then
    local groups = redis.call('XINFO', 'GROUPS', stream)
    local pending = 0
    if #groups == 0 then
      -- Everything is new again.
      redis.call('XGROUP', 'CREATE', stream, group, '0')
      redis.call('DEL', passed_prefix .. name)
    else
      for field = 1, #groups[1], 2 do
        if groups[1][field] == 'pending' then pending = groups[1][field + 1] end
      end
    end
    total = total + length - pending
    if i <= span and (not filter or filter[name]) then
      chosen[#chosen + 1] = {
        at = i, name = name, stream = stream, passed = passed_prefix .. name,
        pending = pending, waiting = length - pending, tasks = {}, held = {}, redelivered = 0,
      }
    end
  end
end

-- Sorts entries that this executor holds now into leased ones, up to a limit, and those to pass over; answers how many are leased.
local function keep(work, entries, limit, skipped)
  local kept = 0
  for _, entry in ipairs(entries) do
    local task, uid = entry[2][2], NOBODY
    if #task == 18 then uid = uid_at(task, 17) else task = string.sub(task, 1, 16) .. '\255\255' end
    local left = uid == NOBODY and limit or room_for(uid)
    if left > 0 and kept < limit then
      if uid ~= NOBODY then room[uid] = left - 1 end
      work.tasks[#work.tasks + 1] = task
      work.held[#work.held + 1] = entry[1]
      kept = kept + 1
    else
      skipped[#skipped + 1] = { entry[1], uid }
    end
  end
  return kept
end

-- As text, entry ids sort by age only when their second numbers are equally long.
local function sortable(entry)
  local ms, sequence = string.match(entry, '^(%d+)-(%d+)$')
  return ms .. '-' .. string.format('%010d', sequence)
end

-- Passed over: read, no longer pending, and noted under its miner.
local function pass_over(work, skipped)
  for from = 1, #skipped, 1000 do
    local entries, scores = {}, {}
    for i = from, math.min(from + 999, #skipped) do
      entries[#entries + 1] = skipped[i][1]
      scores[#scores + 1] = skipped[i][2]
      scores[#scores + 1] = sortable(skipped[i][1])
    end
    redis.call('XACK', work.stream, group, unpack(entries))
    redis.call('ZADD', work.passed, unpack(scores))
  end
end

-- From what was passed over before: miner by miner in a circle, a cursor remembers where to go on.
local function lease_passed(work, ask)
  if redis.call('EXISTS', work.passed) == 0 then return 0 end
  local field = 'passed:' .. work.name
  local cursor, got = redis.call('HGET', KEYS[3], field) or '-1', 0
  local before = cursor
  repeat
    local miners = {}
    for _, range in ipairs({ { '(' .. cursor, '+inf' }, { '-inf', cursor } }) do
      local from = range[1]
      while #miners < ask - got and over > 0 do
        local first = redis.call('ZRANGEBYSCORE', work.passed, from, range[2], 'WITHSCORES', 'LIMIT', 0, 1)
        if #first == 0 then break end
        local uid = tonumber(first[2])
        if room_for(uid) > 0 then
          miners[#miners + 1] = first[2]
          from = '(' .. first[2]
        else
          -- Redis is not asked about the full ones right behind it.
          over = over - 1
          repeat uid = uid + 1 until uid >= NOBODY or room_for(uid) > 0
          from = tostring(uid)
        end
      end
    end
    for i, uid in ipairs(miners) do
      local share = math.min(math.ceil((ask - got) / (#miners - i + 1)), room_for(tonumber(uid)))
      local claim = redis.call('ZRANGEBYSCORE', work.passed, uid, uid, 'LIMIT', 0, share)
      redis.call('ZREM', work.passed, unpack(claim))
      for at, entry in ipairs(claim) do claim[at] = (string.gsub(entry, '-0+(%d)', '-%1')) end
      -- What is gone from the stream is not claimed, nor what somebody holds.
      claim[#claim + 1] = 'FORCE'
      got = got + keep(work, redis.call('XCLAIM', work.stream, group, executor, lease, unpack(claim)), share, {})
      cursor = uid
    end
  until got >= ask or #miners == 0
  if cursor ~= before then redis.call('HSET', KEYS[3], field, cursor) end
  return got
end

-- Reads on. Past a long row of full miners it reads more at once; what is then too much is passed over too.
local function lease_new(work, ask)
  local got, skipped, count = 0, {}, ask
  while got < ask and over > 0 do
    count = math.min(count, over)
    local read = redis.call('XREADGROUP', 'GROUP', group, executor, 'COUNT', count, 'STREAMS', work.stream, '>')
    local entries = read and read[1][2] or {}
    local kept = keep(work, entries, ask - got, skipped)
    got = got + kept
    over = over - (#entries - kept)
    if #entries < count then break end
    count = kept == 0 and #skipped >= 16 and math.min(count * 2, 200) or ask - got
  end
  pass_over(work, skipped)
  return got
end

for _, work in ipairs(chosen) do
  local looked, cursor, before, skipped = 0, nil, nil, {}
  while wanted > 0 and looked < work.pending and look > 0 and ARGV[13] == '1' do
    before = before or redis.call('HGET', KEYS[3], work.name) or '0-0'
    cursor = cursor or before
    local claimed = redis.call('XAUTOCLAIM', work.stream, group, executor, lease, cursor, 'COUNT', wanted)
    -- Redis looks at ten times as many entries as it may claim.
    looked = looked + wanted * 10
    look = look - math.min(wanted * 10, work.pending)
    cursor = claimed[1]
    local kept = keep(work, claimed[2], wanted, skipped)
    work.redelivered = work.redelivered + kept
    wanted = wanted - kept
  end
  if cursor ~= before then redis.call('HSET', KEYS[3], work.name, cursor) end
  pass_over(work, skipped)
  work.waiting = work.waiting + #skipped
  total = total + #skipped
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
      local got = lease_passed(work, ask)
      if got < ask then got = got + lease_new(work, ask - got) end
      wanted = wanted - got
      total = total - got
      work.waiting = got == ask and work.waiting - ask or 0
      work.searched = over > 0
      if work.waiting > 0 then more[#more + 1] = work end
    end
  end
  open = more
end

local answer = { total, 0, 0 }
if over <= 0 and wanted > 0 then
  for _, work in ipairs(chosen) do
    if work.waiting > 0 or work.searched == false then
      answer[2], answer[3] = turn + work.at - 1, span - work.at + 1
      break
    end
  end
end
local any = false
for _, work in ipairs(chosen) do
  if #work.held > 0 then
    any = true
    if gone > 0 then
      for _, option in ipairs({ 'IDLE', gone, 'JUSTID' }) do work.held[#work.held + 1] = option end
      redis.call('XCLAIM', work.stream, group, executor, 0, unpack(work.held))
    end
  end
end
if any then
  redis.call('ZADD', KEYS[2], 'GT', now + tonumber(lease) - gone, executor)
  redis.call('SET', KEYS[4], now + tonumber(ARGV[14]))
end
for _, work in ipairs(chosen) do
  if #work.tasks > 0 then answer[#answer + 1] = { work.name, table.concat(work.tasks), work.redelivered } end
end
return answer
