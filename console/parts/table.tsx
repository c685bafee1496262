import type { ComponentChildren } from 'preact'

interface Column<Row> {
	name: string
	/** Right-aligned, in figures of equal width. */
	number?: true
	show: (row: Row) => ComponentChildren
}

interface TableProps<Row> {
	caption: string
	columns: readonly Column<Row>[]
	rows: readonly Row[]
	keyOf: (row: Row) => string
	/** What to do, or why it is well, when there are none. */
	empty: ComponentChildren
}

/** The first column names its row. On a narrow screen the table scrolls by itself, also by keyboard. */
export function Table<Row>({ caption, columns, rows, keyOf, empty }: TableProps<Row>) {
	if (rows.length === 0) return <p class="empty">{empty}</p>
	return (
		// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
		<section class="scroll" aria-label={`${caption}, table`} tabIndex={0}>
			<table>
				<caption class="unseen">{caption}</caption>
				<thead>
					<tr>
						{columns.map(({ name, number }) => (
							<th key={name} scope="col" class={number && 'number'}>
								{name}
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{rows.map((row) => (
						<tr key={keyOf(row)}>
							{columns.map(({ name, number, show }, place) =>
								place === 0 ? (
									<th key={name} scope="row">
										{show(row)}
									</th>
								) : (
									<td key={name} class={number && 'number'}>
										{show(row)}
									</td>
								),
							)}
						</tr>
					))}
				</tbody>
			</table>
		</section>
	)
}
