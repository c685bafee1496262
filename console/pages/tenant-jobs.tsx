import { ask, download } from '../api.ts'
import { bytes, count } from '../format.ts'
import { Act } from '../parts/act-button.tsx'
import { Meter, Status, Time } from '../parts/marks.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { saveFile } from '../save.ts'
import { isAdmin } from '../session.ts'
import { anything, type Export, exported, exportList, importList } from '../shapes.ts'
import { say } from '../toast.ts'

/** A browser holds a download with a token in memory; a larger archive is for curl, which can also resume it. */
const downloadBytesMax = 200_000_000

export function ExportsPanel({ id }: { id: string }) {
	const path = `/v1/tenants/${id}/exports`
	const exports = useCall(exportList, `${path}?limit=100`, 3_000)
	const begin = async () => {
		await ask(exported, path, { method: 'POST', body: {} })
		say('The export has begun.')
		exports.reload()
	}
	const take = async (one: Export) =>
		saveFile(await download(`${path}/${one.id}/archive`), `${id}-${one.as_of_seq}.zip`)
	const remove = async (one: Export) => {
		await ask(anything, `${path}/${one.id}`, { method: 'DELETE' })
		exports.reload()
	}
	return (
		<Panel title="Exports" of={exports} wide actions={isAdmin.value && <Act verb="Export" act={begin} />}>
			{(list) => (
				<Table
					caption="Exports"
					rows={list.exports.toReversed()}
					keyOf={({ id: one }) => one}
					empty="There is none. An export is the exact state at one position, whatever is written meanwhile."
					columns={[
						{ name: 'export', show: ({ id: one }) => <code>{one}</code> },
						{ name: 'status', show: ({ status }) => <Status name={status} /> },
						{ name: 'progress', show: (one) => <Progress label={`progress of export ${one.id}`} of={one} /> },
						{ name: 'archive', number: true, show: ({ archive_bytes: size }) => (size === null ? '–' : bytes(size)) },
						{ name: 'begun', show: ({ created_at: at }) => <Time at={at} /> },
						{ name: 'kept until', show: ({ expires_at: at }) => <Time at={at} /> },
						...(isAdmin.value
							? [
									{
										name: 'actions',
										show: (one: Export) => (
											<span class="actions">
												{one.status === 'done' && (one.archive_bytes ?? 0) <= downloadBytesMax && (
													<Act verb="Download" act={() => take(one)} />
												)}
												<Act verb={one.status === 'running' ? 'Stop' : 'Delete'} act={() => remove(one)} />
											</span>
										),
									},
								]
							: []),
					]}
				/>
			)}
		</Panel>
	)
}

export function ImportsPanel({ id }: { id: string }) {
	const imports = useCall(importList, `/v1/tenants/${id}/imports?limit=100`, 5_000)
	return (
		<Panel title="Imports" of={imports} wide>
			{(list) => (
				<Table
					caption="Imports"
					rows={list.imports.toReversed()}
					keyOf={({ id: one }) => one}
					empty="There is none. A tenant that is empty can take the archive of an export."
					columns={[
						{ name: 'import', show: ({ id: one }) => <code>{one}</code> },
						{ name: 'status', show: ({ status }) => <Status name={status} /> },
						{ name: 'parts', number: true, show: ({ parts, parts_done: done }) => `${count(done)} of ${count(parts)}` },
						{ name: 'progress', show: (one) => <Progress label={`progress of import ${one.id}`} of={one} /> },
						{ name: 'begun', show: ({ created_at: at }) => <Time at={at} /> },
						{ name: 'faults', show: ({ errors: [first] }) => (first ? `${first.file}: ${first.detail}` : 'none') },
					]}
				/>
			)}
		</Panel>
	)
}

interface Counted {
	records_done: number
	records_total: number | null
}

function Progress({ label, of: { records_done: done, records_total: total } }: { label: string; of: Counted }) {
	if (total === null) return <>{count(done)} records</>
	return <Meter label={label} value={done} max={total} words={`${count(done)} of ${count(total)} records`} />
}
