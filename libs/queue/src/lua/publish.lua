-- Makes staged work visible by renaming, environment by environment.
-- KEYS: set of environments. ARGV: prefix of the work streams, prefix of the indexes, the same two of the staged ones, environments.
-- Answers a number for each environment: how many entries became visible, or -1 where work is there already or the staged is gone.
local answer = {}
for i = 5, #ARGV do
  local name = ARGV[i]
  local stream, index = ARGV[1] .. name, ARGV[2] .. name
  local staged, staged_index = ARGV[3] .. name, ARGV[4] .. name
  if redis.call('EXISTS', stream, index) == 0 and redis.call('EXISTS', staged, staged_index) == 2 then
    redis.call('RENAME', staged, stream)
    redis.call('RENAME', staged_index, index)
    redis.call('PERSIST', stream)
    redis.call('PERSIST', index)
    redis.call('SADD', KEYS[1], name)
    answer[#answer + 1] = redis.call('XLEN', stream)
  else
    redis.call('UNLINK', staged, staged_index)
    answer[#answer + 1] = -1
  end
end
return answer
