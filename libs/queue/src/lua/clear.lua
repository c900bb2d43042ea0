-- Forgets all work. KEYS: set of environments, reclaim cursors. ARGV: prefix of the work streams, prefix of the indexes.
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  redis.call('UNLINK', ARGV[1] .. name, ARGV[2] .. name)
end
return redis.call('UNLINK', KEYS[1], KEYS[2])
