// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - a domain's metadata, untrusted: one element of our namespace with
 * one attribute or more. Anything else is refused, so that a misspelt wish is seen and not guessed.
 */
#include <expat.h>
#include <stdbool.h>
#include <string.h>

#include <agent/wish.h>

#define SEPARATOR '|'

struct parse {
	XML_Parser parser;
	unsigned int elements;
	bool bad;
	struct want want;
};

struct want want_nothing(enum wish wish)
{
	struct want want = { .wish = wish };

	for (unsigned int i = 0; i < NR_LIMITS; i++)
		want.limit[i] = LIMIT_UNSET;
	return want;
}

/* Each attribute comes once: expat sees to that. */
static bool take(struct want *want, const char *name, const char *value)
{
	if (!strcmp(name, "enabled")) {
		want->wish = !strcmp(value, "yes") ? WISH_ON : WISH_OFF;
		return !strcmp(value, "yes") || !strcmp(value, "no");
	}
	for (unsigned int i = 0; i < NR_LIMITS; i++)
		if (!strcmp(name, agent_limits[i].attribute))
			return limit_parse((enum limit)i, value, &want->limit[i]);
	return false;
}

static void start(void *ctx, const char *name, const char **attributes)
{
	struct parse *parse = ctx;

	/*
	 * Exactly one element: whatever is inside it is unknown. libvirt, asked for what our
	 * namespace has, leaves the namespace out of its answer.
	 */
	if (parse->elements++ ||
	    (strcmp(name, "pvbatch") && strcmp(name, WISH_NAMESPACE "|pvbatch")))
		parse->bad = true;
	/* An element that says nothing is a mistake, too. */
	if (parse->bad || !attributes[0])
		parse->bad = true;
	for (; !parse->bad && attributes[0]; attributes += 2)
		parse->bad = !take(&parse->want, attributes[0], attributes[1]);
}

static void text(void *ctx, const char *chars, int length)
{
	struct parse *parse = ctx;

	for (int i = 0; i < length; i++)
		if (!strchr(" \t\r\n", chars[i]))
			parse->bad = true;
}

/* A document type is where entities are defined: none is needed here. */
static void doctype(void *ctx, const char *name, const char *system, const char *public_id,
		    int internal)
{
	struct parse *parse = ctx;

	(void)name;
	(void)system;
	(void)public_id;
	(void)internal;
	parse->bad = true;
	XML_StopParser(parse->parser, XML_FALSE);
}

struct want wish_parse(const char *xml, size_t bytes)
{
	struct parse parse = { .want = want_nothing(WISH_NONE) };

	if (bytes > WISH_BYTES_MAX)
		return want_nothing(WISH_BAD);
	parse.parser = XML_ParserCreateNS(NULL, SEPARATOR);
	if (!parse.parser)
		return want_nothing(WISH_BAD);
	XML_SetUserData(parse.parser, &parse);
	XML_SetStartElementHandler(parse.parser, start);
	XML_SetCharacterDataHandler(parse.parser, text);
	XML_SetStartDoctypeDeclHandler(parse.parser, doctype);
	if (XML_Parse(parse.parser, xml, (int)bytes, 1) != XML_STATUS_OK)
		parse.bad = true;
	XML_ParserFree(parse.parser);
	return parse.bad ? want_nothing(WISH_BAD) : parse.want;
}
