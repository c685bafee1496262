import { testBucket } from '../bucket-contract.ts'
import { MemoryBucket } from '../memory-bucket.ts'

testBucket(() => new MemoryBucket())
