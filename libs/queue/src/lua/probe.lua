-- Does with keys of its own whatever the other scripts do with the queue's: a server that refuses one of it would refuse the queue.
-- It leaves nothing behind.
-- KEYS: a stream, a hash, a set, a sorted set, another stream
local stream, hash, set, sorted, other = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
redis.call('TIME')
redis.call('UNLINK', stream, hash, set, sorted, other)

local entry = redis.call('XADD', stream, '*', 't', 'probe')
redis.call('XGROUP', 'CREATE', stream, 'probe', '0')
redis.call('XREADGROUP', 'GROUP', 'probe', 'probe', 'COUNT', 1, 'STREAMS', stream, '>')
redis.call('XPENDING', stream, 'probe', entry, entry, 1)
redis.call('XCLAIM', stream, 'probe', 'probe', 0, entry, 'JUSTID')
redis.call('XAUTOCLAIM', stream, 'probe', 'probe', 0, '0', 'COUNT', 1)
redis.call('XRANGE', stream, entry, entry)
redis.call('XINFO', 'GROUPS', stream)
redis.call('XLEN', stream)
redis.call('XACK', stream, 'probe', entry)
redis.call('XDEL', stream, entry)
redis.call('RENAME', stream, other)

redis.call('SET', other, '1')

redis.call('HSET', hash, 'a', '1')
redis.call('HGET', hash, 'a')
redis.call('HMGET', hash, 'a', 'b')
redis.call('HLEN', hash)
redis.call('HDEL', hash, 'b')
redis.call('EXPIRE', hash, 60)
redis.call('PERSIST', hash)
redis.call('EXISTS', hash)

redis.call('SADD', set, 'a')
redis.call('SCARD', set)
redis.call('SMEMBERS', set)
redis.call('SREM', set, 'b')

redis.call('ZADD', sorted, 1, 'a')
redis.call('ZCARD', sorted)
redis.call('ZRANGEBYSCORE', sorted, '-inf', '+inf')
redis.call('ZREM', sorted, 'b')
redis.call('ZREMRANGEBYSCORE', sorted, '-inf', '0')

redis.call('DEL', other, hash, set, sorted)
return 1
