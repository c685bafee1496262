import { useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { ask } from '../api.ts'
import { Action } from '../parts/act.tsx'
import { Field } from '../parts/field.tsx'
import { erasure, type Tenant, tenant } from '../shapes.ts'
import { say } from '../toast.ts'

interface ActionOn {
	tenant: Tenant
	onDone: () => void
	onClose: () => void
}

export function RenameTenant({ tenant: { id, name, limits }, onDone, onClose }: ActionOn) {
	const [to, setTo] = useState(name)
	const [rate, setRate] = useState(String(limits.requests_per_second))
	const [storage, setStorage] = useState(String(limits.storage_bytes))
	const act = async () => {
		const body = { name: to, limits: { requests_per_second: Number(rate), storage_bytes: Number(storage) } }
		await ask(tenant, `/v1/tenants/${id}`, { method: 'PATCH', body })
		say('Changed.')
		onDone()
	}
	return (
		<Action title="Rename or limit" verb="Change" act={act} onClose={onClose}>
			<Field label="Name" value={to} onWrite={setTo} />
			<Field numeric label="Requests a second, at most" value={rate} onWrite={setRate} />
			<Field numeric label="Storage in bytes, at most" value={storage} onWrite={setStorage} />
		</Action>
	)
}

interface StatusChange {
	verb: string
	to: 'active' | 'suspended' | 'restricted'
	what: string
	done: string
	danger?: true
}

const suspend: StatusChange = {
	verb: 'Suspend',
	to: 'suspended',
	what: 'Every request of its keys is refused with 403, until somebody resumes it. Nothing is deleted.',
	done: 'is suspended.',
	danger: true,
}
const resume: StatusChange = {
	verb: 'Resume',
	to: 'active',
	what: 'Its keys work again with the next request.',
	done: 'answers again.',
}
const restrict: StatusChange = {
	verb: 'Restrict',
	to: 'restricted',
	what: 'Its records can be read, exported and erased and not changed, and they leave the view (Art. 18 GDPR), until somebody lifts it.',
	done: 'is restricted.',
	danger: true,
}
const release: StatusChange = {
	verb: 'Lift the restriction',
	to: 'active',
	what: 'Its records can be changed again, and come back into the view.',
	done: 'is restricted no more.',
}

/** A tenant has one status: to suspend a restricted one would bring its records back into the view, so that is not offered. */
export function statusChangesOf({ status }: Tenant): readonly StatusChange[] {
	if (status === 'suspended') return [resume]
	return status === 'restricted' ? [release] : [suspend, restrict]
}

export function ChangeStatus({ tenant: { id, slug }, change, onDone, onClose }: ActionOn & { change: StatusChange }) {
	const act = async () => {
		await ask(tenant, `/v1/tenants/${id}`, { method: 'PATCH', body: { status: change.to } })
		say(`${slug} ${change.done}`)
		onDone()
	}
	const { verb, danger = false, what } = change
	return (
		<Action title={`${verb}: ${slug}`} verb={verb} danger={danger} act={act} onClose={onClose}>
			<p>{what}</p>
		</Action>
	)
}

export function EraseTenant({ tenant: { id, slug }, onClose }: Omit<ActionOn, 'onDone'>) {
	const { route } = useLocation()
	const [days, setDays] = useState('7')
	const act = async () => {
		const grace = Math.round(Number(days) * 86_400)
		const { value } = await ask(erasure, `/v1/tenants/${id}?grace_seconds=${grace}`, { method: 'DELETE' })
		say(`The erasure of ${slug} is ordered.`)
		route(`/console/erasures/${value.id}`)
	}
	return (
		<Action title={`Erase ${slug}`} verb="Erase it" danger act={act} onClose={onClose} typed={slug}>
			<p>
				Everything of this tenant is destroyed, in every store. After the days of grace nobody can stop it or bring it
				back.
			</p>
			<Field numeric label="Days of grace, 0 for at once" value={days} onWrite={setDays} />
		</Action>
	)
}
