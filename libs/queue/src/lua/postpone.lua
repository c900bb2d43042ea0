-- Keeps what the executor holds from everybody for a while: it is held by nobody's name, with a lease that has so much of its time left.
-- What the executor does not hold is left alone.
-- KEYS: when there was work. ARGV: group, prefix of the work streams, prefix of the indexes, executor, whose name holds it, ms of the lease
-- that are over, ms that it is kept, then environment and packed task ids by turns. Answers how many were postponed.
local group, work_prefix, index_prefix, executor, holder, idle = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local postponed = 0
for at = 8, #ARGV, 2 do
  local stream, index, packed = work_prefix .. ARGV[at], index_prefix .. ARGV[at], ARGV[at + 1]
  local tasks, held = {}, {}
  for from = 1, #packed, 16 do tasks[#tasks + 1] = string.sub(packed, from, from + 15) end
  for _, entry in ipairs(redis.call('HMGET', index, unpack(tasks))) do
    if entry then
      local pending = redis.pcall('XPENDING', stream, group, entry, entry, 1)
      if not pending.err and #pending > 0 and pending[1][2] == executor then held[#held + 1] = entry end
    end
  end
  if #held > 0 then
    postponed = postponed + #held
    for _, option in ipairs({ 'IDLE', idle, 'JUSTID' }) do held[#held + 1] = option end
    redis.call('XCLAIM', stream, group, holder, 0, unpack(held))
  end
end
if postponed > 0 then
  local time = redis.call('TIME')
  redis.call('SET', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[7]))
end
return postponed
