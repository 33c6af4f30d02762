<%inherit file="base.mako"/>
<%block name="title">Your own OpenClaw bot</%block>
<%block name="meta">
<% description = "Deploy a personal OpenClaw bot from a web form, without knowing Docker or servers. It runs on your own server." %>\
<meta name="description" content="${description}">
<meta property="og:type" content="website">
<meta property="og:site_name" content="ClawDeploy">
<meta property="og:title" content="ClawDeploy: your own OpenClaw bot">
<meta property="og:description" content="${description}">
% if origin:
<meta property="og:url" content="${origin}/">
<link rel="canonical" href="${origin}/">
% endif
</%block>
<%block name="account">
% if user is not None:
<nav class="account" aria-label="Account"><a class="button" href="/dashboard">Dashboard</a></nav>
% endif
</%block>
<section class="hero">
<h1>Your own OpenClaw bot, on your own server</h1>
<p class="lead">Give it a name, choose a model and a chat network, and it runs: in a container of its own, with limits,
and without you having to know Docker.</p>
% if user is not None:
<p><a class="button primary" href="/dashboard">Go to your bots</a> <span class="aside">Signed in as <bdi>${user}</bdi></span></p>
% endif
</section>

% if user is None:
<section class="panel" aria-labelledby="sign-in">
<h2 id="sign-in">Sign in</h2>
<ol class="steps">
<li>On the server, in the folder of ClawDeploy, run
<pre><code>.venv/bin/clawdeploy sign-in me</code></pre></li>
<li>Open the link that it prints, in this browser. It works once, for 15 minutes.</li>
</ol>
<p class="aside">There is no password: only somebody who can run commands on the server can make such a link. <q>me</q> is
your user name; the bots that you make belong to it.</p>
</section>
% endif

<section class="points" aria-label="What it does">
<div><h2>Fast</h2><p>From a name to a running bot in under a minute.</p></div>
<div><h2>Honest</h2><p>The status you see is what Docker says, with the reason when something is wrong.</p></div>
<div><h2>Yours</h2><p>Tokens and keys are stored encrypted and are never shown again.</p></div>
</section>
