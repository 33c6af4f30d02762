<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title><%block name="title"/> | ClawDeploy</title>
<%block name="meta">\
<meta name="robots" content="noindex">
</%block>\
<meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#211d1a" media="(prefers-color-scheme: dark)">
## Browsers that know this paint nothing before the page is whole, so that nothing moves while it arrives.
<link rel="expect" href="#content" blocking="render">
<link rel="icon" href="${static('mark.svg')}" type="image/svg+xml">
<link rel="apple-touch-icon" href="${static('apple-touch-icon.png')}">
<link rel="stylesheet" href="${static('style.css')}">
<%block name="head"/>\
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="bar">
<a class="brand" href="/"><img src="${static('mark.svg')}" alt="" width="28" height="28">ClawDeploy</a>
<%block name="account"/>\
</header>
<%block name="announcements"/>\
<main id="content" tabindex="-1">
${next.body()}\
</main>
<%block name="foot"/>\
</body>
</html>
