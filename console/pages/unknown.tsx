import { Page } from '../parts/page.tsx'

export function UnknownPage() {
	return (
		<Page title="Nothing here">
			<p>
				The console has no page at this address. <a href="/console">Go to the overview</a>.
			</p>
		</Page>
	)
}
