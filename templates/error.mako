<%inherit file="base.mako"/>
<%block name="title">${problem.title}</%block>
<%block name="head">
<link rel="stylesheet" href="${static('error.css')}">
</%block>
<%block name="account">
% if user is not None:
<nav class="account" aria-label="Account">
<a href="/dashboard">Your bots</a>
<a href="/dashboard/account">Account</a>
<span class="who"><span class="wide">Signed in as </span><bdi>${user}</bdi></span>
</nav>
% endif
</%block>
<section class="trouble">
<p class="aside">Error ${problem.status}</p>
<h1>${problem.title}</h1>
% if problem.detail.rstrip(".") != problem.title.rstrip("."):
<p class="lead">${problem.detail}</p>
% endif
% if advice:
<p class="lead">${advice}</p>
% endif
<p class="actions">
% for number, way in enumerate(ways):
<a class="button${'' if number else ' primary'}" href="${way.address}">${way.label}</a>
% endfor
</p>
<p class="aside trace">Request id <code>${request_id}</code></p>
</section>
