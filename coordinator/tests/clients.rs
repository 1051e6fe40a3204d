//! What clients see: submits and their refusals, watching, lists, artifacts, people, health.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use likeness_shared::artifacts::ArtifactError;
use likeness_shared::client::Client;
use likeness_shared::errors::explain;
use likeness_shared::ids::{Digest, PersonId, RequestId};
use likeness_shared::proto::artifacts_client::ArtifactsClient;
use likeness_shared::proto::{
    GenerationSpec, GetPersonRequest, GetUploadRequest, ImportPersonRequest, InitImage, InversionSettlement,
    InversionSpec, ListPeopleRequest, ListTasksRequest, PersonBinding, PhotoRefusal, PhotoReport,
    PhotoVerdict, PictureFigures, Progress, PromptFigures, QualityReport, SettleVerdict, TaskBeat, TaskState,
    UploadHeader, UploadRequest, lease, settle_request, upload_request,
};
use support::*;
use tonic::Code;

#[tokio::test]
async fn a_repeated_submit_is_the_same_task_and_another_body_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let request = generation("a photo");
    let first = client.submit_generation(request.clone()).await.unwrap();
    let again = client.submit_generation(request.clone()).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!(first.task.unwrap().id, again.task.unwrap().id);
    let mut other = request;
    other.spec.as_mut().unwrap().prompt = "another photo".to_owned();
    let refused = client.submit_generation(other).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::AlreadyExists));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn refusals_name_every_field_and_every_missing_photo() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut request = inversion(&[]);
    request.user = "a b".to_owned();
    request.spec = Some(InversionSpec { steps: Some(0), ..request.spec.unwrap() });
    let refused = client.submit_inversion(request).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidArgument));
    for field in ["user:", "spec.photo_digests:", "spec.steps:"] {
        assert!(refused.to_string().contains(field), "{field} is not in {refused}");
    }
    let here = client.artifacts().upload(&b"photo"[..], "image/jpeg").await.unwrap();
    let missing = [Digest::of(b"1"), Digest::of(b"2")];
    let refused = client.submit_inversion(inversion(&[here, missing[0], missing[1]])).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::FailedPrecondition));
    for digest in missing {
        assert!(refused.to_string().contains(&digest.to_string()), "{digest} is not in {refused}");
    }
    assert!(!refused.to_string().contains(&here.to_string()));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_generation_may_begin_at_an_uploaded_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let over = |digest: &str, strength: Option<f64>| {
        let mut request = generation("a castle");
        let init_image = Some(InitImage { artifact_digest: digest.to_owned(), strength });
        request.spec = Some(GenerationSpec { init_image, ..request.spec.unwrap() });
        request
    };
    let refused = client.submit_generation(over("a picture", Some(0.001))).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidArgument));
    for field in ["spec.init_image.artifact_digest:", "spec.init_image.strength:"] {
        assert!(refused.to_string().contains(field), "{field} is not in {refused}");
    }
    let missing = Digest::of(b"a picture").to_string();
    let refused = client.submit_generation(over(&missing, None)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::FailedPrecondition));
    assert!(refused.to_string().contains(&missing), "{missing} is not in {refused}");

    client.artifacts().upload(&b"a picture"[..], "image/png").await.unwrap();
    let request = over(&missing, None);
    let task = client.submit_generation(request.clone()).await.unwrap().task.unwrap();
    let repeated = client.submit_generation(request).await.unwrap();
    assert_eq!((repeated.task.unwrap().id, repeated.repeated), (task.id, true));
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let Some(lease::Spec::Generation(spec)) = worker.lease().await.spec else { panic!("no generation") };
    let init_image = InitImage { artifact_digest: missing, strength: Some(0.8) };
    assert_eq!(spec.init_image, Some(init_image), "the lease holds the default that was used");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_watch_has_the_points_that_beats_report_where_the_store_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    for step in 1..=2 {
        let progress = Progress { step, total_steps: 9, loss: 0.5, norm_ratio: 1.5, ..Progress::default() };
        let (task_id, fence) = (lease.task_id.clone(), lease.fence);
        let beat = TaskBeat { task_id, fence, progress: Some(progress), ..TaskBeat::default() };
        worker.beat_with(vec![beat]).await;
    }
    let mut watch = client.watch_task_once(task_id(&task.id), 0).await.unwrap();
    let seen = soon("the state", watch.message()).await.unwrap().unwrap();
    assert_eq!(seen.metrics.iter().map(|point| point.step).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((seen.metrics[0].values["loss"], seen.metrics[0].values["norm_ratio"]), (0.5, 1.5));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_watch_goes_on_from_its_cursor_and_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 0).await;
    let task = submit(&client, "a photo").await;
    let id = task_id(&task.id);
    let mut watch = client.watch_task(id, 0);
    let first = soon("first state", watch.next()).await.unwrap().unwrap();
    assert_eq!((first.state(), first.revision), (TaskState::Queued, 1));
    worker.credit(1).await;
    let lease = worker.lease().await;
    let leased = soon("leased", watch.next()).await.unwrap().unwrap();
    assert_eq!(leased.state(), TaskState::Leased);

    let mut config = config(folder.path());
    config.listen = running.address();
    running.shutdown(SOON).await;
    drop(worker);
    let (running, client) = start_with(config).await;
    let (mut worker, _) = FakeWorker::join_holding(&running, "w1", "first", &[&lease]).await;
    worker.beat(&lease, 1, b"").await;
    let stepped = soon("the step after the restart", watch.next()).await.unwrap().unwrap();
    assert_eq!((stepped.state(), stepped.revision), (TaskState::Running, leased.revision + 1));
    let picture = worker.picture().await;
    worker.settle(&lease, picture).await;
    let ended = soon("the end", watch.next()).await.unwrap().unwrap();
    assert_eq!(ended.state(), TaskState::Succeeded);
    assert!(soon("end of the watch", watch.next()).await.unwrap().is_none());
    // a late watcher gets the end at once; one who has seen it gets nothing
    let mut late = client.watch_task(id, stepped.revision);
    assert_eq!(soon("the end", late.next()).await.unwrap().unwrap().revision, ended.revision);
    let mut stream = client.watch_task_once(id, ended.revision).await.unwrap();
    assert!(soon("end of the stream", stream.message()).await.unwrap().is_none());
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(submit(&client, &format!("picture {number}")).await.id);
    }
    client.cancel_task(task_id(&ids[0])).await.unwrap();
    ids.reverse();
    let request = ListTasksRequest { tenant: "acme".to_owned(), page_size: 3, ..ListTasksRequest::default() };
    let first = client.list_tasks(request.clone()).await.unwrap();
    let token = first.next_page_token.clone();
    let second =
        client.list_tasks(ListTasksRequest { page_token: token.clone(), ..request.clone() }).await.unwrap();
    let listed: Vec<String> = first.tasks.into_iter().chain(second.tasks).map(|task| task.id).collect();
    assert_eq!(listed, ids);
    assert!(second.next_page_token.is_empty());
    let foreign = ListTasksRequest { user: "bert".to_owned(), page_token: token, ..request.clone() };
    assert_eq!(client.list_tasks(foreign).await.unwrap_err().code(), Some(Code::InvalidArgument));
    let cancelled = ListTasksRequest { states: vec![TaskState::Cancelled.into()], ..request };
    assert_eq!(client.list_tasks(cancelled).await.unwrap().tasks.len(), 1);
    running.shutdown(SOON).await;
}

async fn channel(client: &Client) -> tonic::transport::Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(client.address().to_owned()).unwrap();
    endpoint.connect().await.unwrap()
}

async fn raw_upload(
    client: &mut ArtifactsClient<tonic::transport::Channel>,
    header: UploadHeader,
    bytes: &[u8],
) -> Result<bool, tonic::Status> {
    let parts =
        vec![upload_request::Part::Header(header), upload_request::Part::Chunk(bytes.to_vec().into())];
    let messages = parts.into_iter().map(|part| UploadRequest { part: Some(part) });
    client
        .upload(tokio_stream::iter(messages.collect::<Vec<_>>()))
        .await
        .map(|answer| answer.into_inner().created)
}

#[tokio::test]
async fn uploads_resume_and_downloads_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let bytes: Vec<u8> = (0..1_500_000u32).flat_map(|number| number.to_le_bytes()).take(1_500_000).collect();
    let digest = Digest::of(&bytes);
    let mut raw = ArtifactsClient::new(channel(&client).await);
    let header = |offset| UploadHeader {
        digest: digest.to_string(),
        size_bytes: bytes.len() as u64,
        media_type: "image/png".to_owned(),
        offset,
    };
    // the sender stops in the middle
    let broken = raw_upload(&mut raw, header(0), &bytes[..700_000]).await.unwrap_err();
    assert_eq!(broken.code(), Code::InvalidArgument);
    let status = raw.get_upload(GetUploadRequest { digest: digest.to_string() }).await.unwrap().into_inner();
    assert!(!status.complete && status.received_bytes == 700_000, "{status:?}");
    let missing = client.artifacts().download(digest, 1 << 30).await.unwrap_err();
    assert!(missing.to_string().contains(&digest.to_string()), "{missing}");
    // the shared client goes on from there
    assert_eq!(client.artifacts().upload(bytes.clone(), "image/png").await.unwrap(), digest);
    assert!(!raw_upload(&mut raw, header(0), &bytes[..10]).await.unwrap(), "it is here already");
    let artifact = client.artifacts().download(digest, 1 << 30).await.unwrap();
    assert_eq!((artifact.bytes.as_ref(), artifact.media_type.as_str()), (bytes.as_slice(), "image/png"));
    let path = folder.path().join("picture.png");
    client.artifacts().download_to(digest, &path, 1 << 30).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let small = client.artifacts().download_to(digest, &folder.path().join("small"), 1000).await.unwrap_err();
    assert!(matches!(small, ArtifactError::TooLarge { .. }), "{small}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("small")), "{left:?}");
    // bytes of another digest
    let liar = UploadHeader { digest: Digest::of(b"truth").to_string(), size_bytes: 3, ..header(0) };
    let refused = raw_upload(&mut raw, liar, b"lie").await.unwrap_err();
    assert!(explain(&refused).contains(&Digest::of(b"lie").to_string()), "{refused}");
    let huge = UploadHeader { digest: Digest::of(b"huge").to_string(), size_bytes: 1 << 40, ..header(0) };
    assert_eq!(raw_upload(&mut raw, huge, b"x").await.unwrap_err().code(), Code::InvalidArgument);
    running.shutdown(SOON).await;
}

async fn import(
    client: &Client,
    name: &str,
    file: Vec<u8>,
) -> Result<likeness_shared::proto::Person, String> {
    let digest = client.artifacts().upload(file, "application/octet-stream").await.unwrap();
    let request = ImportPersonRequest {
        request_id: RequestId::generate().to_string(),
        tenant: "acme".to_owned(),
        user: "anna".to_owned(),
        name: name.to_owned(),
        placeholder: String::new(),
        artifact_digest: digest.to_string(),
    };
    let person = client.import_person(request.clone()).await.map_err(|error| error.to_string())?;
    let again = client.import_person(request).await.unwrap();
    assert_eq!(person.id, again.id, "an import is repeatable");
    Ok(person)
}

#[tokio::test]
async fn people_are_imported_checked_bound_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let garbage = import(&client, "garbage", b"not a person".to_vec()).await.unwrap_err();
    assert!(garbage.contains("no safetensors file"), "{garbage}");
    let person = import(&client, "grandma", person_file(2, 64)).await.unwrap();
    assert_eq!((person.vectors, person.width, person.placeholder.as_str()), (2, 64, "sks"));
    let taken = import(&client, "grandma", person_file(1, 64)).await.unwrap_err();
    assert!(taken.contains("already"), "{taken}");
    let by_name = GetPersonRequest {
        tenant: "acme".to_owned(),
        user: "anna".to_owned(),
        name: "grandma".to_owned(),
        ..GetPersonRequest::default()
    };
    assert_eq!(client.get_person(by_name).await.unwrap(), person);
    let list = ListPeopleRequest { tenant: "acme".to_owned(), ..ListPeopleRequest::default() };
    assert_eq!(client.list_people(list).await.unwrap().people, std::slice::from_ref(&person));

    let bound = |user: &str, prompt: &str| {
        let mut request = generation(prompt);
        request.user = user.to_owned();
        let binding = PersonBinding { placeholder: String::new(), person_id: person.id.clone() };
        request.spec = Some(GenerationSpec { people: vec![binding], ..request.spec.unwrap() });
        request
    };
    let stranger = client.submit_generation(bound("bert", "a photo of sks")).await.unwrap_err();
    assert_eq!(stranger.code(), Some(Code::FailedPrecondition));
    let unnamed = client.submit_generation(bound("anna", "a photo")).await.unwrap_err();
    assert_eq!(unnamed.code(), Some(Code::InvalidArgument));
    client.submit_generation(bound("anna", "a photo of sks")).await.unwrap();
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let lease = worker.lease().await;
    assert_eq!(lease.people.len(), 1);
    assert_eq!(
        (lease.people[0].placeholder.as_str(), &lease.people[0].artifact_digest),
        ("sks", &person.artifact_digest)
    );
    let id: PersonId = person.id.parse().unwrap();
    client.delete_person(id).await.unwrap();
    assert_eq!(client.delete_person(id).await.unwrap_err().code(), Some(Code::NotFound));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_settled_inversion_leaves_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut photos = Vec::new();
    for number in 0..3u8 {
        photos.push(client.artifacts().upload(vec![number; 10], "image/jpeg").await.unwrap());
    }
    let task = client.submit_inversion(inversion(&photos)).await.unwrap().task.unwrap();
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let lease = worker.lease().await;
    let file = client.artifacts().upload(person_file(2, 64), "application/octet-stream").await.unwrap();
    let refusal = PhotoRefusal { code: "no_face".to_owned(), ..PhotoRefusal::default() };
    let dropped = PhotoVerdict { index: 1, refusals: vec![refusal], ..PhotoVerdict::default() };
    let report = Box::new(PhotoReport { given: 3, used: 2, photos: vec![dropped], ..PhotoReport::default() });
    let picture = client.artifacts().upload(&b"a picture"[..], "image/png").await.unwrap();
    let picture = PictureFigures { artifact_digest: picture.to_string(), ..PictureFigures::default() };
    let prompt = PromptFigures { pictures: vec![picture], ..PromptFigures::default() };
    let quality = QualityReport { clip: Some(0.25), prompts: vec![prompt], ..QualityReport::default() };
    let learned = InversionSettlement {
        artifact_digest: file.to_string(),
        vectors: 2,
        width: 64,
        model_digest: Digest::of(b"model").to_string(),
        final_loss: 0.1,
        norm_ratio: 1.2,
        steps: 120,
        kept_step: 100,
        photos_used: 2,
        photos: Some(report.clone()),
        quality: Some(Box::new(quality.clone())),
        quality_absent: None,
    };
    let verdict = worker.settle(&lease, settle_request::Outcome::Inversion(learned)).await;
    assert_eq!(verdict, SettleVerdict::Accepted);
    let done = client.wait_task(task_id(&task.id), SOON).await.unwrap();
    let Some(likeness_shared::proto::task::Outcome::InversionResult(result)) = done.outcome else {
        panic!("no result: {done:?}")
    };
    assert_eq!((result.steps, result.kept_step, result.photos_used), (120, 100, 2));
    assert_eq!(done.progress.unwrap().photos, Some(report));
    assert_eq!(result.quality.as_deref(), Some(&quality));
    let request = GetPersonRequest { id: result.person_id, ..GetPersonRequest::default() };
    let person = client.get_person(request).await.unwrap();
    assert_eq!((person.name.as_str(), person.task_id.as_str()), ("grandma", task.id.as_str()));
    assert_eq!(person.quality.as_deref(), Some(&quality), "it stays with the person");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn health_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel(&client).await);
    for service in ["", "likeness.v1.Tasks", "likeness.v1.WorkerSessions"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(
            answer.status(),
            tonic_health::pb::health_check_response::ServingStatus::Serving,
            "{service}"
        );
    }
    running.shutdown(SOON).await;
}
