-- Gives back what the executor holds: the old entry goes, a new one is added at the end of the stream.
-- What another executor holds, or what already waits, is left alone; what is absent is added.
-- KEYS: set of environments. ARGV: group, prefix of the work streams, prefix of the indexes, executor, then environment and packed
-- entries (16 bytes of the task, 2 of its miner, or 65535 for an entry that named none) by turns. Answers how many entries were added.
local group, work_prefix, index_prefix, executor = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local added = 0
for at = 5, #ARGV, 2 do
  local name, packed = ARGV[at], ARGV[at + 1]
  local stream, index = work_prefix .. name, index_prefix .. name
  if redis.call('EXISTS', stream) == 0 then redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM') end
  for from = 1, #packed, 18 do
    local task, value = string.sub(packed, from, from + 15), string.sub(packed, from, from + 17)
    if string.sub(value, 17) == '\255\255' then value = task end
    local entry = redis.call('HGET', index, task)
    local add = not entry
    if entry then
      local pending = redis.pcall('XPENDING', stream, group, entry, entry, 1)
      if not pending.err and #pending > 0 and pending[1][2] == executor then
        redis.call('XACK', stream, group, entry)
        redis.call('XDEL', stream, entry)
        add = true
      end
    end
    if add then
      redis.call('HSET', index, task, redis.call('XADD', stream, '*', 't', value))
      redis.call('SADD', KEYS[1], name)
      added = added + 1
    end
  end
end
return added
