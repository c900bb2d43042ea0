//! The tasks, one file each. To add one: write its file, and add its two names here.

use super::stage::Playable;
use crate::environment::Environment;

macro_rules! tasks {
    ($($file:ident :: $task:ident),* $(,)?) => {
        $(mod $file;)*

        /// Every task, in the order in which they are shown.
        pub(super) fn all() -> Vec<Box<dyn Environment>> {
            vec![$(Box::new(Playable::<$file::$task>::new())),*]
        }
    };
}

#[cfg(test)]
pub(super) use drawer_close::DrawerClose;

tasks![reach::Reach, push::Push, drawer_close::DrawerClose];
