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

export function SuspendTenant({ tenant: { id, slug, status }, onDone, onClose }: ActionOn) {
	const to = status === 'suspended' ? 'active' : 'suspended'
	const act = async () => {
		await ask(tenant, `/v1/tenants/${id}`, { method: 'PATCH', body: { status: to } })
		say(to === 'active' ? `${slug} answers again.` : `${slug} is suspended.`)
		onDone()
	}
	return (
		<Action
			title={to === 'active' ? `Resume ${slug}` : `Suspend ${slug}`}
			verb={to === 'active' ? 'Resume' : 'Suspend'}
			danger={to === 'suspended'}
			act={act}
			onClose={onClose}
		>
			<p>
				{to === 'active'
					? 'Its keys work again with the next request.'
					: 'Every request of its keys is refused with 403, until somebody resumes it. Nothing is deleted.'}
			</p>
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
