<%inherit file="base.mako"/>
<%namespace name="way_in" file="components/sign_in.mako"/>
<%!
    DESCRIPTION = (
        "Deploy a personal OpenClaw bot from a web form, without knowing Docker or servers. "
        "It runs on your own server, and its status never lies."
    )
    PRODUCT = (
        "Two cards of the dashboard. “Family helper” is running. "
        "“News digest” shows an error, and why: it ran out of memory and was ended by the system."
    )


    def either(choices):
        """Return labels as in "Telegram, Discord or WhatsApp"."""
        labels = [choice["label"] for choice in choices]
        return " or ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
%>
<%block name="title">Your own OpenClaw bot</%block>
<%block name="meta">
<meta name="description" content="${DESCRIPTION}">
<meta property="og:type" content="website">
<meta property="og:site_name" content="ClawDeploy">
<meta property="og:title" content="Your own OpenClaw bot, on your own server">
<meta property="og:description" content="${DESCRIPTION}">
<meta property="og:url" content="${origin}/">
<meta property="og:image" content="${origin}${static('preview.png')}">
<meta property="og:image:type" content="image/png">
<meta property="og:image:width" content="1200">
<meta property="og:image:height" content="630">
<meta property="og:image:alt" content="${PRODUCT}">
<meta name="twitter:card" content="summary_large_image">
% if public:
<link rel="canonical" href="${origin}/">
% endif
</%block>
<%block name="head">
<link rel="stylesheet" href="${static('landing.css')}">
% if user is None:
${way_in.scripts(sign_in)}\
% endif
</%block>
<%block name="account">
<nav class="account" aria-label="Account">
% if user is not None:
% if not sign_in.scripts:
<span class="who"><span class="wide">Signed in as </span><bdi>${user}</bdi></span>
% endif
<a class="button" href="/dashboard">Your bots</a>
% else:
<a class="button" href="#sign-in">Sign in</a>
% endif
</nav>
</%block>
% if ended:
<p class="banner warning" role="status">${ended} <a href="#sign-in">Sign in again</a>.</p>
% endif
<section class="opening">
<div class="promise">
<h1>Your own OpenClaw bot, on your own server</h1>
<p class="lead">Give it a name, choose a model and a chat network, and watch it come up. Docker, ports and limits are taken care of; you
never have to learn what they are.</p>
% if user is not None:
<p class="call"><a class="button primary large" href="/dashboard">Go to your bots</a></p>
% else:
<p class="call"><a class="button primary large" href="#sign-in">Sign in to make a bot</a></p>
% if sign_in.fallback:
<p class="aside">No account, no password: a link from your own server lets you in.</p>
% endif
% endif
</div>
<picture class="sight">
<source srcset="${static('product-dark.webp')}" media="(prefers-color-scheme: dark)">
<img src="${static('product-light.webp')}" alt="${PRODUCT}" width="960" height="974">
</picture>
</section>

<section aria-labelledby="how">
<h2 id="how">How it works</h2>
<ol class="way-there">
<li><h3>Describe it</h3><p>A name, a language model, and the chat network on which people will meet it.</p></li>
<li><h3>Paste its keys</h3><p>The form says where to get each one, and tells you when what you copied cannot be right.</p></li>
<li><h3>Watch it start</h3><p>Every step as it happens, with its time. It is usually up in less than a minute, and if not, you read why.</p></li>
</ol>
</section>

<section aria-labelledby="what">
<h2 id="what">What you get</h2>
<div class="points">
<div><h3>A status that never lies</h3><p>“Running” is said only after your bot has answered. When something is wrong, a sentence says what it is,
and since when.</p></div>
<div><h3>Secrets that stay secret</h3><p>Tokens and keys are stored encrypted. No page, no log and no program ever gets to see them
again; you can only replace them.</p></div>
<div><h3>A box of its own</h3><p>Each bot runs in its own container with limits for memory and processor, so one that misbehaves does not
pull the others down.</p></div>
<div><h3>Your own server</h3><p>Bots, settings and secrets stay on this machine, and ClawDeploy reports to nobody. A bot talks to the model and the
chat network that you chose for it.</p></div>
<div><h3>Nothing half done</h3><p>A power cut in the middle of anything is made good afterwards. What could not be made leaves no rubbish, and what
you delete is gone.</p></div>
<div><h3>Everything to read</h3><p>What your bot writes, as it writes it, to search and to keep. And what happened to it: who did it, when, and
why.</p></div>
</div>
<dl class="choices">
<div><dt>Models</dt><dd>${either(models)}</dd></div>
<div><dt>Chat networks</dt><dd>${either(channels)}</dd></div>
% for blueprint in blueprints:
% if blueprint["default"]:
<div><dt>What runs here</dt><dd>${blueprint["label"]}. ${blueprint["description"]}</dd></div>
% endif
% endfor
</dl>
</section>

% if user is None and not sign_in.fallback:
<section class="way-in" aria-labelledby="sign-in">
<div class="way-in-head">
<h2 id="sign-in">Sign in</h2>
<p>Your bots are waiting where you left them.</p>
<noscript><p>To sign in here your browser has to run scripts.</p></noscript>
</div>
<div id="sign-in-here" class="sign-in-here"></div>
</section>
% elif user is None:
<section class="way-in" aria-labelledby="sign-in">
<div class="way-in-head">
<h2 id="sign-in">Sign in</h2>
<p>There is no password to remember. The server makes you a link, and whoever opens it first is signed in.</p>
<p><strong>Does somebody else run this server?</strong> Ask them for a sign-in link and open it in this browser. That is all.</p>
</div>
<div class="way-in-steps">
<p><strong>Do you run it yourself?</strong> Then make a link:</p>
<ol>
<li><h3>Open a second terminal</h3>
<p>A terminal is the window in which one types commands. The one where you typed <kbd>./scripts/run</kbd> is busy being the server: leave it
open, and open another one <span class="nowrap">(<kbd>Ctrl</kbd> <kbd>Alt</kbd> <kbd>T</kbd></span> on most Linux desktops, or look for the program
“Terminal”). If the server is another computer, connect to that one as you did when you installed ClawDeploy.</p></li>
<li><h3>Type this, then press Enter</h3>
<p>First go to the folder of ClawDeploy, for example with <kbd>cd clawdeploy</kbd>. Then:</p>
<pre><code class="command">.venv/bin/clawdeploy sign-in me</code></pre>
<p><q>me</q> is your user name; the bots that you make belong to it.</p></li>
<li><h3>Open what comes out</h3>
<p>One line appears, a link like this one:</p>
<pre><code>${origin}/sign-in/k7Q2…</code></pre>
<p>Copy it from the terminal into the address line of this browser and press Enter. It works once, for 10 minutes.</p></li>
</ol>
<details>
<summary>If it does not work</summary>
<dl>
<dt>“No such file or directory”</dt>
<dd>The terminal is in another folder. Type <kbd>cd</kbd>, a space and the folder in which ClawDeploy is, press Enter, and try again.</dd>
<dt>The link does not work any more</dt>
<dd>It was opened before, or is older than 10 minutes. Make another one; you can make as many as you like.</dd>
<dt>You were signed in before</dt>
<dd>Signing in ends by itself, sooner when it is not used. Without https it also works only in the network in which you opened the link: after a
change, such as to a VPN, make another one.</dd>
<dt>The browser cannot reach the address</dt>
<dd>An address with <code>127.0.0.1</code> works only on the computer that ClawDeploy runs on. The section “Other people, other machines” of
<code>docs/operations.md</code>, in ClawDeploy's folder, tells how to let others in.</dd>
</dl>
</details>
</div>
</section>
% endif
<%block name="foot">
<footer class="foot">
<p>ClawDeploy runs on this server and keeps ${"everything" if sign_in.fallback else "your bots"} here.</p>
<nav aria-label="On this page">
<a href="#how">How it works</a>
<a href="#what">What you get</a>
% if user is None:
<a href="#sign-in">Sign in</a>
% else:
<a href="/dashboard">Your bots</a>
<a href="/dashboard/account">Account</a>
% endif
<a href="/api/health">Is the server well?</a>
</nav>
</footer>
</%block>
