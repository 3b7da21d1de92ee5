"""The page in the browsers that Playwright's Chromium is no stand-in for: WebKit and Firefox."""
