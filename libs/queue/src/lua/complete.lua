-- Takes tasks out of the queue, whoever holds them. A stream that becomes empty goes with its index, its group and its consumers.
-- KEYS: set of environments, reclaim cursors. ARGV: group, prefix of the work streams, prefix of the indexes, then environment
-- and packed task ids by turns. Answers {how many were in the queue, how many environments still have entries}.
local group, work_prefix, index_prefix = ARGV[1], ARGV[2], ARGV[3]

local removed = 0
for at = 4, #ARGV, 2 do
  local name, packed = ARGV[at], ARGV[at + 1]
  local stream, index = work_prefix .. name, index_prefix .. name
  local tasks, entries = {}, {}
  for from = 1, #packed, 16 do tasks[#tasks + 1] = string.sub(packed, from, from + 15) end
  for _, entry in ipairs(redis.call('HMGET', index, unpack(tasks))) do
    if entry then entries[#entries + 1] = entry end
  end
  if #entries > 0 then
    redis.call('XACK', stream, group, unpack(entries))
    redis.call('XDEL', stream, unpack(entries))
    removed = removed + redis.call('HDEL', index, unpack(tasks))
    if redis.call('XLEN', stream) == 0 then
      redis.call('DEL', stream, index)
      redis.call('SREM', KEYS[1], name)
      redis.call('HDEL', KEYS[2], name)
    end
  end
end
return { removed, redis.call('SCARD', KEYS[1]) }
