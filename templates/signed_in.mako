<%inherit file="base.mako"/>
<%namespace name="way_in" file="components/sign_in.mako"/>
<%block name="head">
<meta name="htmx-config" content='{"includeIndicatorStyles":false,"allowEval":false,"historyCacheSize":0,"refreshOnHistoryMiss":true,"selfRequestsOnly":true,"timeout":30000,"scrollBehavior":"auto"}'>
## Before anything is painted, and so before the others: nothing has to move for another time zone.
<script src="${static('times.js')}" type="module" blocking="render"></script>
<script src="${static('vendor/htmx.min.js')}" defer></script>
<script src="${static('vendor/idiomorph-ext.min.js')}" defer></script>
<script src="${static('app.js')}" type="module"></script>
<%block name="scripts"/>\
${way_in.scripts(sign_in)}\
</%block>
<%block name="account">
<nav class="account" aria-label="Account">
<a href="/dashboard"${" aria-current=page" if path == "/dashboard" else ""}>Your bots</a>
<a href="/dashboard/account"${" aria-current=page" if path == "/dashboard/account" else ""}>Account</a>
<span class="who"><span class="wide">Signed in as </span><bdi>${identity.user_id}</bdi></span>
% if identity.ambient and sign_in.sign_out:
<form method="post" action="${sign_in.sign_out}"><button class="button" type="submit">Sign out</button></form>
% elif identity.ambient and sign_in.scripts:
<div id="signed-in-as" class="signed-in-as"></div>
% endif
</nav>
</%block>
<%block name="announcements">
<p id="connection" class="banner warning" role="alert" hidden></p>
<div id="announcer" class="unseen" role="status"></div>
<div id="toasts" class="toasts" role="status">\
% if notice:
<p class="toast success">${notice}</p>\
% endif
</div>
</%block>
${next.body()}\
