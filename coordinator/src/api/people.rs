//! The `People` service: learned people.

use likeness_shared::errors::ServiceError;
use likeness_shared::ids::{PersonId, PersonName};
use likeness_shared::limits::Checks;
use likeness_shared::proto::people_server::People;
use likeness_shared::proto::{
    DeletePersonRequest, DeletePersonResponse, GetPersonRequest, ImportPersonRequest, ListPeopleRequest,
    ListPeopleResponse, Person,
};
use tonic::{Request, Response, Status};

use super::{Shared, importing, listing, wire};
use crate::store::record::PersonRecord;

#[derive(Debug)]
pub(super) struct PeopleService {
    shared: Shared,
}

impl PeopleService {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    async fn find(&self, request: GetPersonRequest) -> Result<PersonRecord, ServiceError> {
        if !request.id.is_empty() {
            let id: PersonId = wire::id("id", &request.id)?;
            return self.shared.stored(self.shared.store.person(id)).await;
        }
        let mut checks = Checks::new();
        let owner = wire::owner(&request.tenant, &request.user, &mut checks);
        let name: Option<PersonName> = checks.parse("name", &request.name);
        checks.finish()?;
        let asked = self.shared.store.person_named(wire::checked(owner)?, wire::checked(name)?);
        self.shared.stored(asked).await
    }
}

#[tonic::async_trait]
impl People for PeopleService {
    async fn list_people(
        &self,
        request: Request<ListPeopleRequest>,
    ) -> Result<Response<ListPeopleResponse>, Status> {
        Ok(Response::new(listing::list_people(&self.shared, request.into_inner()).await?))
    }

    async fn get_person(&self, request: Request<GetPersonRequest>) -> Result<Response<Person>, Status> {
        Ok(Response::new(wire::person(self.find(request.into_inner()).await?)))
    }

    async fn import_person(&self, request: Request<ImportPersonRequest>) -> Result<Response<Person>, Status> {
        let person = importing::new_person(&self.shared, request.into_inner()).await?;
        let person = self.shared.stored(self.shared.store.import_person(person)).await?;
        tracing::info!(person = %person.id, "person imported");
        Ok(Response::new(wire::person(person)))
    }

    async fn delete_person(
        &self,
        request: Request<DeletePersonRequest>,
    ) -> Result<Response<DeletePersonResponse>, Status> {
        let id: PersonId = wire::id("id", &request.get_ref().id)?;
        self.shared.stored(self.shared.store.delete_person(id)).await?;
        tracing::info!(person = %id, "person deleted");
        Ok(Response::new(DeletePersonResponse {}))
    }
}
