//! What every store of the registry has to do: one function a promise, run over each implementation.

mod credentials;
mod deltas;
mod encryption;
mod grants;
mod installations;
mod random;
mod rules;
mod sample;
mod services;

use std::future::Future;

use super::{Change, Registry, Repository, StoreError, Version};

pub use credentials::*;
pub use deltas::*;
pub use encryption::*;
pub use grants::*;
pub use installations::*;
pub use random::refreshing_is_loading;
pub use rules::*;
pub use sample::*;
pub use services::*;

/// An empty place for a store.
pub trait Fixture: Sync {
    type Store: Repository;

    /// Opens the place; twice gives two stores that share what is in it.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;
}

/// A test for each promise, over the places that an expression makes.
macro_rules! conformance_tests {
    ($fixture:expr) => {
        $crate::registry::conformance::conformance_tests! { $fixture;
            a_new_store_holds_the_default_account_alone
            everything_comes_back_as_it_went_in
            what_was_committed_is_there_when_the_store_is_opened_again
            versions_go_up_with_each_change_and_stay_without_one
            changes_since_names_each_touched_entity_once_and_no_other
            changes_since_the_current_version_are_none
            changes_since_version_zero_are_everything
            what_is_gone_is_named_as_gone
            a_commit_that_fails_leaves_nothing
            a_change_of_what_is_not_there_is_a_conflict
            an_app_that_exists_is_not_added_over_with_other_settings
            an_account_that_holds_something_is_not_deleted
            the_default_account_is_not_deleted
            a_bot_that_apps_name_is_not_deleted
            a_host_belongs_to_one_account_and_may_move_within_a_commit
            what_was_made_from_an_older_version_is_not_committed
            a_draft_leaves_what_is_published_in_force
            edits_of_two_people_add_up
            an_edit_on_an_account_is_in_force_at_once
            a_draft_is_published_only_as_it_was_seen
            an_earlier_set_is_restored_under_the_edits_of_the_draft
            permissions_on_a_table_are_given_and_taken_one_by_one
            an_app_that_changes_its_account_loses_its_permissions_on_tables
            numbers_are_not_used_again
            a_kid_names_one_key_of_an_app
            a_key_is_replaced_retired_and_deleted_in_place
            a_certificate_comes_and_goes_with_its_key
            a_change_of_credentials_shows_in_the_version_of_the_app
            encryption_keys_come_back_as_they_went_in
            a_kid_names_one_encryption_key_of_all_apps
            an_encryption_key_is_retired_and_deleted_in_place
            service_accounts_come_back_as_they_went_in
            a_service_account_keeps_its_password_until_it_gets_another
            a_service_account_is_followed_and_deleted
            installations_come_back_as_they_went_in
            an_app_is_on_an_account_once_and_an_installation_stays_there
            a_suspension_keeps_its_time_until_it_ends
            installations_go_with_their_app_and_hold_their_account
            numbers_of_installations_are_given_or_assigned_and_never_used_again
            two_stores_commit_to_one_place_in_turn
        }
        #[test]
        fn refreshing_is_loading() {
            $crate::registry::conformance::refreshing_is_loading(|| $fixture);
        }
    };
    ($fixture:expr; $($promise:ident)*) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::registry::conformance::$promise(&$fixture).await;
        }
    )*};
}
pub(crate) use conformance_tests;

async fn commit(store: &impl Repository, changes: &[Change]) -> Version {
    store.commit(changes, &actor()).await.unwrap()
}

async fn load(store: &impl Repository) -> Registry {
    store.load().await.unwrap().1
}

/// The sentence with which the changes are refused.
async fn conflict(store: &impl Repository, changes: &[Change]) -> String {
    match store.commit(changes, &actor()).await {
        Err(StoreError::Conflict(sentence)) => sentence,
        other => panic!("{changes:?}: {other:?}"),
    }
}
