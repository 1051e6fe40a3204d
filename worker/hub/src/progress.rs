//! What a caller hears while a model is brought here.

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A file that was there already is held against its digest.
    Checking,
    /// Another process fetches the file.
    Waiting,
    /// A file is fetched.
    Fetching,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// The file's name in the repository.
    pub file: String,
    /// Bytes done, over all files of this stage.
    pub done: u64,
    /// Bytes to do, over all files of this stage.
    pub total: u64,
}

/// Where progress goes. It is called often: once a piece of some kilobytes.
pub(crate) type Listener<'a> = &'a mut (dyn FnMut(&Progress) + Send);
