/**
 * Which shard of a tenant holds what. Today every tenant has one shard, the home shard, and the map has one entry; only
 * this file knows that.
 */
export const homeShard = 0
