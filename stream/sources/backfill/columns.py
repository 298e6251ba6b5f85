"""What do the CRMs call the columns of their exports? Case, accents and punctuation do not count; ``--map`` names others.

Languages in the order English, French, German, Spanish, Portuguese, Italian, Dutch, as far as they are known.
"""

from collections.abc import Mapping
from typing import Literal

Names = dict[str, tuple[str, ...]]


def _split(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {what: tuple(names.split("/")) for what, names in table.items()}


#: HubSpot, by property. "Region" stands for "Country/Region", whose slash is a separator here.
HUBSPOT: Names = _split(
    {
        "id": "Record ID/Deal ID/Contact ID/Lead ID/hs_object_id/ID/ID de fiche d'informations/Datensatz-ID/ID de registro"
        "/ID do registro/ID record/Record-ID",
        "created": "Create Date/Created At/hs_createdate/createdate/Date de création/Erstellungsdatum/Erstelldatum"
        "/Fecha de creación/Data de criação/Data di creazione/Aanmaakdatum",
        "modified": "Last Modified Date/hs_lastmodifieddate/lastmodifieddate/Date de la dernière modification"
        "/Date de dernière modification/Datum der letzten Änderung/Datum der letzten Bearbeitung/Fecha de última modificación"
        "/Data da última modificação/Data ultima modifica/Data dell'ultima modifica/Datum laatste wijziging",
        "dealname": "Deal Name/Nom de la transaction/Deal-Name/Dealname/Nombre del negocio/Nome do negócio/Nome dell'affare"
        "/Dealnaam",
        "firstname": "First Name/Prénom/Vorname/Nombre/Nome/Voornaam",
        "lastname": "Last Name/Nom/Nachname/Apellidos/Sobrenome/Cognome/Achternaam",
        "hs_lead_name": "Lead Name",
        "amount": "Amount/Montant/Betrag/Importe/Cantidad/Monto/Valor/Importo/Bedrag",
        "deal_currency_code": "Currency/Deal Currency Code/Devise/Währung/Moneda/Moeda/Valuta",
        "dealstage": "Deal Stage/Étape de la transaction/Phase de la transaction/Deal-Phase/Etapa del negocio/Etapa do negócio"
        "/Fase dell'affare/Fase della trattativa/Dealfase",
        "pipeline": "Pipeline",
        "hubspot_owner_id": "Deal owner/Contact owner/Lead owner/Owner/Propriétaire de la transaction/Propriétaire du contact"
        "/Deal-Inhaber/Zuständiger Mitarbeiter/Propietario del negocio/Propietario del contacto/Proprietário do negócio"
        "/Proprietário do contato/Proprietario dell'affare/Proprietario del contatto/Deal-eigenaar/Contacteigenaar",
        "hubspot_team_id": "HubSpot Team",
        "closedate": "Close Date/Date de fermeture/Abschlussdatum/Fecha de cierre/Data de fechamento/Data di chiusura"
        "/Sluitingsdatum",
        "hs_is_closed_won": "Is Closed Won",
        "hs_is_closed_lost": "Is closed lost",
        "hs_analytics_source": "Original Source Type/Original Traffic Source/Original Source",
        "hs_campaign": "HubSpot Campaign",
        "utm_campaign": "UTM Campaign",
        "hubspotscore": "HubSpot Score",
        "email": "Email/E-mail/Adresse e-mail/Correo/Correo electrónico",
        "country": "Country Region/Country/Pays/Land/País/Paese",
        "lifecyclestage": "Lifecycle Stage/Phase du cycle de vie/Lifecycle-Phase/Etapa del ciclo de vida/Estágio do ciclo de vida"
        "/Fase del ciclo di vita/Lifecyclefase",
        "notes_last_contacted": "Last Contacted/Dernier contact/Zuletzt kontaktiert/Último contacto/Último contato"
        "/Ultimo contatto",
        "hs_lead_status": "Lead Status/Statut du lead/Lead-Status/Estado del lead/Status do lead/Stato del lead/Leadstatus",
    }
)

#: The labels that HubSpot's own deal stages have, by their ids; how a deal ended is read from the words of any language.
HUBSPOT_STAGES: Mapping[str, str] = {
    "Appointment Scheduled": "appointmentscheduled",
    "Qualified To Buy": "qualifiedtobuy",
    "Presentation Scheduled": "presentationscheduled",
    "Decision Maker Bought-In": "decisionmakerboughtin",
    "Contract Sent": "contractsent",
    "Closed Won": "closedwon",
    "Closed Lost": "closedlost",
}

HUBSPOT_KINDS: Mapping[str, Literal["won", "lost"]] = {"closedwon": "won", "closedlost": "lost"}
HUBSPOT_PIPELINES: Mapping[str, str] = {"Sales Pipeline": "default", "Deals Pipeline": "default"}

_PIPEDRIVE = _split(
    {
        "id": "ID",
        "title": "Title/Titre/Titel/Título/Titolo",
        "value": "Value/Valeur/Wert/Valor/Valore/Waarde",
        "currency": "Currency of Value/Currency/Devise de Valeur/Devise/Währung/Moneda/Moeda/Valuta",
        "stage_id": "Stage/Étape/Phase/Etapa/Fase",
        "pipeline_id": "Pipeline",
        "status": "Status/Statut/Estado/Stato",
        "owner_id": "Owner/Propriétaire/Besitzer/Inhaber/Propietario/Proprietário/Proprietario/Eigenaar",
        "expected_close_date": "Expected close date/Date de clôture prévue/Date de clôture attendue",
        "origin": "Source origin/Source",
        "channel": "Source channel",
        "lost_reason": "Lost reason/Motif de perte/Raison de l'échec",
        "add_time": "Deal created/Created/Add time/Affaire créée",
        "update_time": "Update time/Heure de mise à jour",
        "stage_change_time": "Last stage change/Dernier changement d'étape",
        "won_time": "Won time/Heure de la conclusion",
        "lost_time": "Lost time/Heure de l'échec",
    }
)
#: Pipedrive, by field. Its exports say of what each column is: "Deal - Value", "Affaire - Valeur".
PIPEDRIVE: Names = {
    what: (*(f"{prefix}{name}" for name in names for prefix in ("Deal - ", "Affaire - ", "Trato - ", "Negócio - ", "")), what)
    for what, names in _PIPEDRIVE.items()
}

#: Salesforce's reports have labels where its data export has the names of fields.
SALESFORCE: Names = _split(
    {
        "Id": "Opportunity ID/Lead ID/ID de l'opportunité/ID de la piste/Opportunity-ID/Lead-ID/Id. de oportunidad"
        "/ID da oportunidade/ID opportunità",
        "Name": "Opportunity Name/Nom de l'opportunité/Opportunity-Name/Opportunityname/Nombre de la oportunidad"
        "/Nome da oportunidade/Nome opportunità",
        "FirstName": "First Name/Prénom/Vorname/Nombre/Nome/Voornaam",
        "LastName": "Last Name/Nom/Nachname/Apellidos/Sobrenome/Cognome/Achternaam",
        "StageName": "Stage/Étape/Phase/Etapa/Fase/Stadium",
        "Amount": "Amount/Montant/Betrag/Importe/Quantia/Valor/Importo/Bedrag",
        "CurrencyIsoCode": "Amount Currency/Opportunity Currency/Lead Currency",
        "CloseDate": "Close Date/Date de clôture/Schlusstermin/Abschlussdatum/Fecha de cierre/Data de fechamento"
        "/Data di chiusura/Sluitingsdatum",
        "CreatedDate": "Created Date/Create Date/Date de création/Erstelldatum/Erstellungsdatum/Fecha de creación/Data de criação"
        "/Data creazione/Data di creazione/Aanmaakdatum",
        "LastModifiedDate": "Last Modified Date/Last Modified/Date de la dernière modification/Dernière modification"
        "/Datum der letzten Änderung/Letzte Änderung/Fecha de la última modificación/Data da última modificação"
        "/Data ultima modifica/Datum laatste wijziging",
        "OwnerId": "Opportunity Owner/Lead Owner/Propriétaire de l'opportunité/Propriétaire de la piste/Opportunity-Inhaber"
        "/Lead-Inhaber/Propietario de oportunidad/Proprietário da oportunidade/Titolare opportunità/Opportunity-eigenaar",
        "LeadSource": "Lead Source/Origine de la piste/Lead-Quelle/Origen del prospecto/Origem do lead/Origine lead/Leadbron",
        "IsClosed": "Closed/Fermé/Fermée/Geschlossen/Cerrada/Fechada/Chiusa/Gesloten",
        "IsWon": "Won/Gagné/Gagnée/Gewonnen/Ganada/Ganha/Vinta",
        "Status": "Lead Status/Statut de la piste/Lead-Status/Estado del prospecto/Status do lead/Stato lead",
        "IsConverted": "Converted/Converti/Konvertiert/Convertido/Convertito",
        "ConvertedDate": "Converted Date/Date de conversion/Konvertierungsdatum/Fecha de conversión/Data de conversão",
        "Country": "Country/Pays/Land/País/Paese",
        "Email": "Email/E-mail/Correo electrónico",
    }
)
