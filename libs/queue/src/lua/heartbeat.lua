-- Starts the lease time anew for what the executor holds.
-- What nobody holds because its lease expired and was passed over it holds again: the caller knows that the executor leased it last.
-- KEYS: executors by time, when there was work. ARGV: group, prefix of the work streams, prefix of the indexes, prefix of the passed over,
-- executor, how many ms of a lease are over at its start, ms for which the executor is active, then environment and packed task ids by
-- turns. Answers a letter for each task: k kept, w waiting, o held by another one, a absent.
local group, work_prefix, index_prefix, passed_prefix, executor = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], 'GT', now + tonumber(ARGV[7]), executor)

local answer, any = {}, false
-- Whether the entry had been passed over and is claimed now.
local function reclaimed(stream, passed, entry)
  local ms, sequence = string.match(entry, '^(%d+)-(%d+)$')
  if redis.call('ZREM', passed, ms .. '-' .. string.format('%010d', sequence)) == 0 then return false end
  return #redis.call('XCLAIM', stream, group, executor, 0, entry, 'FORCE', 'JUSTID') == 1
end

for at = 8, #ARGV, 2 do
  local stream, index, packed = work_prefix .. ARGV[at], index_prefix .. ARGV[at], ARGV[at + 1]
  local tasks, kept = {}, {}
  for from = 1, #packed, 16 do tasks[#tasks + 1] = string.sub(packed, from, from + 15) end
  local entries = redis.call('HMGET', index, unpack(tasks))
  for i = 1, #tasks do
    local state = 'a'
    if entries[i] then
      local pending = redis.pcall('XPENDING', stream, group, entries[i], entries[i], 1)
      if pending.err or #pending == 0 then
        local again = not pending.err and reclaimed(stream, passed_prefix .. ARGV[at], entries[i])
        state = again and 'k' or 'w'
        if again then kept[#kept + 1] = entries[i] end
      elseif pending[1][2] == executor then
        state = 'k'
        kept[#kept + 1] = entries[i]
      else
        state = 'o'
      end
    end
    answer[#answer + 1] = state
  end
  if #kept > 0 then
    any = true
    for _, option in ipairs({ 'IDLE', ARGV[6], 'JUSTID' }) do kept[#kept + 1] = option end
    redis.call('XCLAIM', stream, group, executor, 0, unpack(kept))
  end
end
if any then redis.call('SET', KEYS[2], now) end
return table.concat(answer)
