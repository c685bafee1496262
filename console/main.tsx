import { render } from 'preact'
import { App } from './app.tsx'
import { resume } from './enter.ts'
import { applyTheme } from './theme.ts'

applyTheme()
const place = document.getElementById('console')
if (place === null) throw new Error('the page has no place for the console')
render(<App />, place)
void resume()
