//! Uploads become visible whole, or not at all.

use super::*;

fn store(folder: &Path) -> ArtifactStore {
    let config = UploadConfig { max_bytes: 1000, staged_bytes: 1500, ..UploadConfig::default() };
    ArtifactStore::open(folder, &config).unwrap()
}

fn staged_files(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("staging")).unwrap().count()
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Bytes::from(vec![7; 600]);
    let digest = Digest::of(&bytes);
    {
        let store = store(folder.path());
        let mut upload = store.begin(digest, 600, 0).await.unwrap().unwrap();
        upload.append(&bytes.slice(..400)).await.unwrap();
        upload.pause().await;
    }
    let store = store(folder.path());
    assert_eq!(store.status(digest).await.unwrap(), UploadStatus::Received(400));
    assert_eq!(store.missing(&[digest]).await.unwrap(), [digest]);
    let mut upload = store.begin(digest, 600, 400).await.unwrap().unwrap();
    upload.append(&bytes.slice(400..)).await.unwrap();
    store.finish(upload, "image/jpeg").await.unwrap();
    assert_eq!(store.status(digest).await.unwrap(), UploadStatus::Complete);
    let info = store.info(digest).await.unwrap();
    assert_eq!(info, ArtifactInfo { size: 600, media_type: "image/jpeg".to_owned() });
    assert_eq!(store.read(digest, 100, 600).await.unwrap(), bytes.slice(100..));
    assert_eq!(staged_files(folder.path()), 0);
    assert!(store.begin(digest, 600, 0).await.unwrap().is_none(), "it is here already");
}

#[tokio::test]
async fn bytes_of_another_digest_never_become_visible() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let digest = Digest::of(b"right");
    let mut upload = store.begin(digest, 5, 0).await.unwrap().unwrap();
    upload.append(&Bytes::from_static(b"wrong")).await.unwrap();
    let error = store.finish(upload, "text/plain").await.unwrap_err().to_string();
    assert!(error.contains(&Digest::of(b"wrong").to_string()), "{error}");
    assert_eq!(store.status(digest).await.unwrap(), UploadStatus::Received(0));
    assert_eq!(staged_files(folder.path()), 0);
}

#[tokio::test]
async fn sizes_and_room_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
    assert!(matches!(store.begin(first, 1001, 0).await, Err(ServiceError::InvalidArgument(_))));
    assert!(matches!(store.begin(first, 10, 5).await, Err(ServiceError::InvalidArgument(_))));
    let under_way = store.begin(first, 1000, 0).await.unwrap().unwrap();
    assert!(matches!(store.begin(first, 1000, 0).await, Err(ServiceError::Unavailable { .. })));
    let full = store.begin(second, 501, 0).await.unwrap_err();
    assert!(matches!(full, ServiceError::ResourceExhausted { subject: "staged_bytes", .. }), "{full:?}");
    drop(under_way);
    assert!(store.begin(second, 501, 0).await.unwrap().is_some(), "the room was given back");
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing_staged() {
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = object_store::Error::Generic { store: "local", source: Box::new(full) };
    let fault = object_fault("store an artifact", &error);
    assert!(matches!(&fault, ServiceError::ResourceExhausted { subject: "disk", .. }), "{fault:?}");
    assert!(fault.to_string().contains("disk is full"), "{fault}");
}

#[tokio::test]
async fn forgotten_uploads_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let mut upload = store.begin(Digest::of(b"1"), 10, 0).await.unwrap().unwrap();
    upload.append(&Bytes::from_static(b"abc")).await.unwrap();
    assert_eq!(store.sweep(Duration::ZERO).await, 0, "an upload under way is left alone");
    upload.pause().await;
    assert_eq!(store.sweep(Duration::from_secs(3600)).await, 0);
    assert_eq!(store.sweep(Duration::ZERO).await, 1);
}
