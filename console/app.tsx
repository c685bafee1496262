import { LocationProvider, Route, Router, useLocation } from 'preact-iso'
import { DataPage } from './pages/data.tsx'
import { ErasuresPage } from './pages/erasures.tsx'
import { OverviewPage } from './pages/overview.tsx'
import { ServicePage } from './pages/service.tsx'
import { SignInPage } from './pages/sign-in.tsx'
import { TenantPage } from './pages/tenant.tsx'
import { TenantsPage } from './pages/tenants.tsx'
import { UnknownPage } from './pages/unknown.tsx'
import { ViewPage } from './pages/view.tsx'
import { end, operator, resuming } from './session.ts'
import { applyTheme, type Theme, theme } from './theme.ts'
import { toast } from './toast.ts'

export function App() {
	return (
		<LocationProvider scope="/console">
			<div aria-live="polite" class={toast.value === null ? 'toast' : 'toast shown'}>
				{toast.value}
			</div>
			{operator.value === null ? !resuming.value && <SignInPage /> : <Shell />}
		</LocationProvider>
	)
}

function Shell() {
	return (
		<div class="shell">
			<a class="skip" href="#content">
				Skip to the content
			</a>
			<aside>
				<a class="brand" href="/console">
					Freehold
				</a>
				<Menu />
				<Who />
			</aside>
			<main id="content" tabIndex={-1}>
				<Router>
					<Route path="/console" component={OverviewPage} />
					<Route path="/console/tenants" component={TenantsPage} />
					<Route path="/console/tenants/:id" component={TenantPage} />
					<Route path="/console/data" component={DataPage} />
					<Route path="/console/view" component={ViewPage} />
					<Route path="/console/service" component={ServicePage} />
					<Route path="/console/erasures" component={ErasuresPage} />
					<Route path="/console/erasures/:id" component={ErasuresPage} />
					<Route default component={UnknownPage} />
				</Router>
			</main>
		</div>
	)
}

const places = [
	['/console', 'Overview'],
	['/console/tenants', 'Tenants'],
	['/console/data', 'Data'],
	['/console/view', 'View'],
	['/console/service', 'Service levels'],
	['/console/erasures', 'Erasures'],
] as const

function Menu() {
	const { path } = useLocation()
	return (
		<nav aria-label="Console">
			<ul>
				{places.map(([place, name]) => {
					const here = place === '/console' ? path.replace(/\/$/, '') === place : path.startsWith(place)
					return (
						<li key={place}>
							<a href={place} aria-current={here ? 'page' : undefined}>
								{name}
							</a>
						</li>
					)
				})}
			</ul>
		</nav>
	)
}

function Who() {
	const { name, scope, version } = operator.value ?? { name: '', scope: '', version: '' }
	return (
		<div class="who">
			<p>
				<strong>{name}</strong> <span class="quiet">{scope}</span>
			</p>
			<label>
				<span class="unseen">Colours</span>
				<select value={theme.value} onChange={({ currentTarget }) => applyTheme(themeOf(currentTarget.value))}>
					<option value="system">System colours</option>
					<option value="light">Light</option>
					<option value="dark">Dark</option>
				</select>
			</label>
			<button type="button" onClick={() => end(null)}>
				Sign out
			</button>
			<p class="quiet">
				<a href="/docs">API {version}</a>
			</p>
		</div>
	)
}

function themeOf(text: string): Theme {
	return text === 'light' || text === 'dark' ? text : 'system'
}
