/** Made from slo/freehold.yaml by `npm run slo`; edit that file instead. */
import type { Slo } from './slo.ts'

export const slos: readonly Slo[] = [
	{
		name: 'availability',
		displayName: 'Availability',
		target: 0.999,
		windowDays: 30,
		withinMs: null,
	},
	{
		name: 'latency',
		displayName: 'Latency',
		target: 0.99,
		windowDays: 30,
		withinMs: 512,
	},
	{
		name: 'accuracy',
		displayName: 'Accuracy',
		target: 0.9999,
		windowDays: 30,
		withinMs: null,
	},
	{
		name: 'freshness',
		displayName: 'Freshness',
		target: 0.99,
		windowDays: 30,
		withinMs: 10000,
	},
	{
		name: 'probe-availability',
		displayName: 'Availability, from outside',
		target: 0.995,
		windowDays: 30,
		withinMs: null,
	},
	{
		name: 'probe-freshness',
		displayName: 'Freshness, from outside',
		target: 0.99,
		windowDays: 30,
		withinMs: 10000,
	},
]
