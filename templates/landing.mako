<%inherit file="base.mako"/>
<%block name="title">Your own OpenClaw bot</%block>
<%block name="meta">
<% description = "Deploy a personal OpenClaw bot from a web form, without knowing Docker or servers. It runs on your own server, and its status never lies." %>\
<meta name="description" content="${description}">
<meta property="og:type" content="website">
<meta property="og:site_name" content="ClawDeploy">
<meta property="og:title" content="ClawDeploy: your own OpenClaw bot">
<meta property="og:description" content="${description}">
<meta property="og:url" content="${origin}/">
<meta property="og:image" content="${origin}${static('preview.png')}">
<meta property="og:image:width" content="1200">
<meta property="og:image:height" content="630">
<meta property="og:image:alt" content="A card of ClawDeploy: the bot “Family helper” is running.">
<meta name="twitter:card" content="summary_large_image">
<link rel="canonical" href="${origin}/">
</%block>
<%block name="head">
<link rel="stylesheet" href="${static('landing.css')}">
</%block>
<%block name="account">
% if user is not None:
<nav class="account" aria-label="Account"><a class="button" href="/dashboard">Dashboard</a></nav>
% else:
<nav class="account" aria-label="Account"><a class="button" href="#sign-in">Sign in</a></nav>
% endif
</%block>
<section class="opening">
<div class="hero">
<h1>Your own OpenClaw bot, on your own server</h1>
<p class="lead">Give it a name, choose a model and a chat network, and it runs: in a container of its own, with limits, and
without you having to know what a container is.</p>
% if user is not None:
<p class="call"><a class="button primary large" href="/dashboard">Go to your bots</a> <span class="aside">Signed in as <bdi>${user}</bdi></span></p>
% else:
<p class="call"><a class="button primary large" href="#sign-in">Make your first bot</a></p>
% endif
</div>
<div class="sight" aria-hidden="true">
<div class="sight-card">
<div class="sight-head"><strong>Family helper</strong><span class="badge running">Running</span></div>
<p>GPT-5.2 on Telegram</p>
<p class="sight-bubble">What's for dinner?</p>
<p class="sight-bubble answer">You wanted to try the lentil soup. I added carrots to the list.</p>
</div>
<div class="sight-card second">
<div class="sight-head"><strong>News digest</strong><span class="badge error">Error</span></div>
<p>It ran out of memory and was ended by the system.</p>
</div>
</div>
</section>

<section aria-labelledby="how">
<h2 id="how" class="over">How it works</h2>
<ol class="how">
<li><h3>Say who it is</h3><p>A name, a language model, and the chat network on which people will meet it.</p></li>
<li><h3>Paste two keys</h3><p>The form says where to get each one, and notices when you copied the wrong thing.</p></li>
<li><h3>Watch it come up</h3><p>You see each step with its time. A minute later you write to your bot.</p></li>
</ol>
</section>

<section aria-labelledby="what">
<h2 id="what" class="over">What you get</h2>
<div class="points">
<div><h3>A status that never lies</h3><p>What you see is what Docker says, with a plain reason when something is wrong, and since when.</p></div>
<div><h3>No bot lost</h3><p>Power cuts and restarts in the middle of anything are finished or undone afterwards.</p></div>
<div><h3>Secrets that stay secret</h3><p>Tokens and keys are stored encrypted, and no page ever shows them again.</p></div>
<div><h3>Your own server</h3><p>No account with anybody, nothing sent home. Each bot has limits, so one cannot harm the others.</p></div>
</div>
</section>

% if user is None:
<section class="panel" aria-labelledby="sign-in">
<h2 id="sign-in">Sign in</h2>
<p>There is no password. Whoever can type commands on the server makes a link that signs a browser in:</p>
<ol class="steps">
<li>On the server, open a terminal (the window in which one types commands) in the folder of ClawDeploy and type
<pre tabindex="0" aria-label="Command"><code>.venv/bin/clawdeploy sign-in me</code></pre></li>
<li>It prints a link. Open it in this browser; it works once, for 15 minutes.</li>
</ol>
<p class="aside"><q>me</q> is your user name; the bots that you make belong to it. If somebody else runs this server, ask them for a link.</p>
</section>
% endif
<footer class="foot">
<p class="aside">ClawDeploy runs on this server and keeps everything here.</p>
</footer>
