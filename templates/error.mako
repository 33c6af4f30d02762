<%inherit file="base.mako"/>
<%block name="title">${problem.title}</%block>
<%block name="account">
% if inside:
<nav class="account" aria-label="Account"><a class="button" href="/dashboard">Dashboard</a></nav>
% endif
</%block>
<section class="hero error">
<p class="aside">Error ${problem.status}</p>
<h1>${problem.title}</h1>
% if problem.detail.rstrip(".") != problem.title.rstrip("."):
<p class="lead">${problem.detail}</p>
% elif problem.status == 404 and inside:
<p class="lead">It may have been deleted, or the address has a mistake in it.</p>
% endif
<p class="actions">
% if again:
<a class="button primary" href="${again}">Try Again</a>
% endif
% if inside:
<a class="button" href="/dashboard">Back to Dashboard</a>
% else:
<a class="button" href="/">To the start page</a>
% endif
</p>
<p class="aside">If you ask somebody for help, tell them this request id: <code>${request_id}</code></p>
</section>
