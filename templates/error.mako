<%inherit file="base.mako"/>
<%block name="title">${problem.title}</%block>
<section class="hero error">
<p class="aside">Error ${problem.status}</p>
<h1>${problem.title}</h1>
% if problem.detail.rstrip(".") != problem.title.rstrip("."):
<p class="lead">${problem.detail}</p>
% endif
<p>
% if again:
<a class="button primary" href="${again}">Try Again</a>
% endif
<a class="button" href="/">To the start page</a>
</p>
<p class="aside">Request id: <code>${request_id}</code></p>
</section>
