// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - a domain's metadata, untrusted: one element of our namespace with
 * one attribute. Anything else is refused, so that a misspelt wish is seen and not guessed.
 */
#include <expat.h>
#include <stdbool.h>
#include <string.h>

#include <agent/wish.h>

#define SEPARATOR '|'

struct parse {
	XML_Parser parser;
	unsigned int elements;
	enum wish wish;
};

static void start(void *ctx, const char *name, const char **attributes)
{
	struct parse *parse = ctx;

	/*
	 * Exactly one element: whatever is inside it is unknown. libvirt, asked for what our
	 * namespace has, leaves the namespace out of its answer.
	 */
	if (parse->elements++ ||
	    (strcmp(name, "pvbatch") && strcmp(name, WISH_NAMESPACE "|pvbatch")))
		parse->wish = WISH_BAD;
	if (parse->wish == WISH_BAD)
		return;
	if (attributes[0] && !attributes[2] && !strcmp(attributes[0], "enabled")) {
		if (!strcmp(attributes[1], "yes"))
			parse->wish = WISH_ON;
		else if (!strcmp(attributes[1], "no"))
			parse->wish = WISH_OFF;
	}
	if (parse->wish == WISH_NONE)
		parse->wish = WISH_BAD;
}

static void text(void *ctx, const char *chars, int length)
{
	struct parse *parse = ctx;

	for (int i = 0; i < length; i++)
		if (!strchr(" \t\r\n", chars[i]))
			parse->wish = WISH_BAD;
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
	parse->wish = WISH_BAD;
	XML_StopParser(parse->parser, XML_FALSE);
}

enum wish wish_parse(const char *xml, size_t bytes)
{
	struct parse parse = { .wish = WISH_NONE };

	if (bytes > WISH_BYTES_MAX)
		return WISH_BAD;
	parse.parser = XML_ParserCreateNS(NULL, SEPARATOR);
	if (!parse.parser)
		return WISH_BAD;
	XML_SetUserData(parse.parser, &parse);
	XML_SetStartElementHandler(parse.parser, start);
	XML_SetCharacterDataHandler(parse.parser, text);
	XML_SetStartDoctypeDeclHandler(parse.parser, doctype);
	if (XML_Parse(parse.parser, xml, (int)bytes, 1) != XML_STATUS_OK)
		parse.wish = WISH_BAD;
	XML_ParserFree(parse.parser);
	return parse.wish;
}
