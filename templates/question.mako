<%inherit file="base.mako"/>
<%block name="title">${question.title}</%block>
<%block name="head">
<link rel="stylesheet" href="${static('error.css')}">
</%block>
<section class="trouble">
<h1><bdi>${question.title}</bdi></h1>
<p class="lead"><bdi>${question.text}</bdi></p>
<form class="actions" method="post">
<button class="button primary" type="submit"><bdi>${question.button}</bdi></button>
<a class="button" href="/">To the start page</a>
</form>
</section>
