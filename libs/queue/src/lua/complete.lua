-- Takes tasks out of the queue, whoever holds them. A stream that becomes empty goes with its index, its group, its consumers and its
-- cursors. KEYS: set of environments, cursors. ARGV: group, prefix of the work streams, prefix of the indexes, prefix of the passed
-- over, then environment and packed task ids by turns. Answers {how many were in the queue, how many environments still have entries}.
local group, work_prefix, index_prefix, passed_prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local removed = 0
for at = 5, #ARGV, 2 do
  local name, packed = ARGV[at], ARGV[at + 1]
  local stream, index, passed = work_prefix .. name, index_prefix .. name, passed_prefix .. name
  local tasks, entries = {}, {}
  for from = 1, #packed, 16 do tasks[#tasks + 1] = string.sub(packed, from, from + 15) end
  for _, entry in ipairs(redis.call('HMGET', index, unpack(tasks))) do
    if entry then entries[#entries + 1] = entry end
  end
  if #entries > 0 then
    redis.call('XACK', stream, group, unpack(entries))
    redis.call('XDEL', stream, unpack(entries))
    if redis.call('EXISTS', passed) == 1 then
      for i, entry in ipairs(entries) do
        local ms, sequence = string.match(entry, '^(%d+)-(%d+)$')
        entries[i] = ms .. '-' .. string.format('%010d', sequence)
      end
      redis.call('ZREM', passed, unpack(entries))
    end
    removed = removed + redis.call('HDEL', index, unpack(tasks))
    if redis.call('XLEN', stream) == 0 then
      redis.call('DEL', stream, index, passed)
      redis.call('SREM', KEYS[1], name)
      redis.call('HDEL', KEYS[2], name, 'passed:' .. name)
    end
  end
end
return { removed, redis.call('SCARD', KEYS[1]) }
