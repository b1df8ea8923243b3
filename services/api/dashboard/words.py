"""Every word of the pages that no definition says, in English and French."""

from collections.abc import Mapping

from journey.grammar import Label

LANGUAGES = ("en", "fr")

_WORDS: dict[str, tuple[str, str]] = {
    # the frame
    "title": ("Customer journeys", "Parcours clients"),
    "search": ("E-mail, card, phone…", "E-mail, carte, téléphone…"),
    "search_label": ("Find a customer", "Trouver un client"),
    "sign_out": ("Sign out", "Se déconnecter"),
    "other_language": ("Français", "English"),
    "live": ("live", "en direct"),
    "not_live": ("connecting…", "connexion…"),
    "as_of": ("As of", "État au"),
    "masked": ("Identifiers are masked: this token may not see personal data.",
               "Identifiants masqués : ce jeton ne donne pas accès aux données personnelles."),
    "nobody": ("Nobody is known by this. Is it spelled as it was when it came in?",
               "Personne n'est connu sous ce nom. L'orthographe est-elle celle d'origine ?"),
    "not_found": ("There is nothing here.", "Il n'y a rien ici."),
    "unavailable": ("The store does not answer. This page works again as soon as it does.",
                    "La base ne répond pas. Cette page reviendra avec elle."),
    "home": ("Overview", "Vue d'ensemble"),
    # sign-in
    "sign_in": ("Sign in", "Se connecter"),
    "token": ("API token", "Jeton d'API"),
    "token_help": ("`jalon up` and `jalon demo` print one; `jalon keys create --scopes read` makes one.",
                   "`jalon up` et `jalon demo` en affichent un ; `jalon keys create --scopes read` en crée un."),
    "token_refused": ("This token is unknown, revoked or may not read.",
                      "Ce jeton est inconnu, révoqué ou sans droit de lecture."),
    # overview
    "before": ("before", "avant"),
    "during": ("during", "pendant"),
    "after": ("after", "après"),
    "customers": ("customers", "clients"),
    "drawing": ("drawn machine", "schéma"),
    "happening": ("Happening now", "En ce moment"),
    "quiet": ("Nothing has changed yet. As soon as a touchpoint moves a customer, it shows here.",
              "Rien n'a encore changé. Dès qu'un point de contact fait avancer un client, il apparaît ici."),
    "no_journeys": ("No journey definition is in force yet.", "Aucun parcours n'est encore en vigueur."),
    "because": ("because", "car"),
    "time_passed": ("time passed", "le temps a passé"),
    "corrected": ("corrected", "corrigé"),
    # who is in a stage
    "in_stage_since": ("in this stage since", "dans cette étape depuis"),
    "nobody_here": ("Nobody is in this stage now.", "Personne n'est dans cette étape."),
    "more": ("More", "Suite"),
    "run": ("run", "cycle"),
    # a customer
    "last_heard": ("Last heard from", "Dernier signe"),
    "since": ("since", "depuis"),
    "rule": ("rule", "règle"),
    "colon": (":", "\u00a0:"),
    "next_actions": ("What to do next", "Que faire maintenant"),
    "no_actions": ("Nothing is called for.", "Rien à faire pour l'instant."),
    "priority": ("priority", "priorité"),
    "severity": ("severity", "gravité"),
    "too_silent": ("silent for too long, since", "silencieux depuis trop longtemps, depuis le"),
    "too_silent_at": ("silence is too long from", "silence trop long à partir du"),
    "may_come": ("What may come next", "Ce qui peut suivre"),
    "if_silent": ("by itself", "de lui-même"),
    "at_least": ("times within", "fois en"),
    "timeline": ("What happened", "Ce qui s'est passé"),
    "tied_by": ("tied by", "lié par"),
    "claimed": ("claimed later", "rattaché ensuite"),
    "learned": ("learned", "appris le"),
    "time": ("Time", "Le temps"),
    "company": ("from us", "de notre part"),
    "persona": ("persona", "persona"),
    # facts
    "denied": ("stays: not a way back", "reste : pas un retour"),
    "moment": ("moment of truth", "moment de vérité"),
    "pain_opened": ("pain", "irritant"),
    "pain_resolved": ("pain resolved", "irritant résolu"),
    "objection_raised": ("objection", "objection"),
    "objection_answered": ("objection answered", "objection levée"),
    "measured": ("measured", "mesuré"),
    "dead_time": ("dead time in", "temps mort dans"),
    "action_proposed": ("to do", "à faire"),
    # identifiers
    "kind_crm_id": ("CRM id", "n° CRM"),
    "kind_user_id": ("user id", "compte"),
    "kind_loyalty_card": ("loyalty card", "carte de fidélité"),
    "kind_email": ("e-mail", "e-mail"),
    "kind_phone": ("phone", "téléphone"),
    "kind_anonymous_id": ("browser", "navigateur"),
    "kind_device_id": ("device", "appareil"),
    "kind_order_id": ("order", "commande"),
    "kind_transaction_id": ("transaction", "transaction"),
    "kind_ticket_id": ("ticket", "ticket"),
    "kind_session_id": ("session", "session"),
    "kind_call_id": ("call", "appel"),
}  # fmt: skip


def words_in(language: str) -> Mapping[str, str]:
    """All words in this language."""
    index = LANGUAGES.index(language)
    return {name: both[index] for name, both in _WORDS.items()}


def choose(query: str | None, cookie: str | None, accept: str) -> str:
    """The language of a page: as its address says, as chosen before, or as the browser prefers."""
    preferred = [part.split(";")[0].strip().lower()[:2] for part in accept.split(",")]
    return next((one for one in (query, cookie, *preferred) if one in LANGUAGES), LANGUAGES[0])


def said(label: Label | None, language: str, otherwise: str = "") -> str:
    """A label in this language; `otherwise` where there is none."""
    if label is None:
        return otherwise.replace("_", " ")
    return label.fr if language == "fr" else label.en
