//! What is true of the pallet's storage between any two blocks.

use crate::{pallet::*, requests::RequestOf, types::*};
use alloc::collections::{BTreeMap, BTreeSet};
use frame_support::{ensure, traits::fungible::InspectHold};
use openledger_primitives::{content::content_hash, Balance, RequestId};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Checks every invariant.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::try_money()?;
		Self::try_open_requests()?;
		Self::try_agenda()?;
		Self::try_contents()
	}

	/// What is on hold on every requester's account is what its assigned requests hold.
	fn try_money() -> Result<(), TryRuntimeError> {
		let mut expected = BTreeMap::<T::AccountId, Balance>::new();
		for request in Requests::<T>::iter_values() {
			let held = match request.phase {
				Phase::Assigned(job) => job.held,
				_ => 0,
			};
			let sum = expected.entry(request.requester).or_default();
			*sum = sum.checked_add(held).ok_or("the fees on hold overflow")?;
		}
		for (who, held) in expected {
			let on_hold = T::Currency::balance_on_hold(&HoldReason::InferenceFee.into(), &who);
			ensure!(on_hold == held, "a requester's hold is not the sum of its open requests");
		}
		Ok(())
	}

	/// The indexes by requester and by worker list exactly the assigned requests.
	fn try_open_requests() -> Result<(), TryRuntimeError> {
		let mut by_requester = BTreeSet::<(T::AccountId, RequestId)>::new();
		let mut by_worker = BTreeSet::<(T::AccountId, RequestId)>::new();
		for (id, request) in Requests::<T>::iter() {
			if let Phase::Assigned(job) = request.phase {
				by_requester.insert((request.requester, id));
				by_worker.insert((job.worker, id));
			}
		}
		let mut listed: usize = 0;
		for (who, open) in OpenRequests::<T>::iter() {
			ensure!(!open.is_empty(), "an empty list of open requests is kept");
			for id in open {
				ensure!(by_requester.contains(&(who.clone(), id)), "a listed request is not open");
				listed = listed.saturating_add(1);
			}
		}
		ensure!(listed == by_requester.len(), "an open request is not listed once");
		let pending: BTreeSet<_> =
			PendingFor::<T>::iter().map(|(worker, id, ())| (worker, id)).collect();
		ensure!(pending == by_worker, "jobs and open requests differ");
		Ok(())
	}

	/// Every request has one entry in the agenda, under its `due`.
	fn try_agenda() -> Result<(), TryRuntimeError> {
		let mut requests: usize = 0;
		for (id, request) in Requests::<T>::iter() {
			ensure!(id < NextRequestId::<T>::get(), "a request has a number not given yet");
			ensure!(Agenda::<T>::contains_key(request.due, id), "a request is not on the agenda");
			ensure!(
				request.due >= AgendaCursor::<T>::get(),
				"the agenda has passed over a request"
			);
			requests = requests.saturating_add(1);
		}
		ensure!(Agenda::<T>::iter().count() == requests, "an entry has no request");
		Ok(())
	}

	/// Prompts are of assigned requests, answers of answered ones, and both are what their hash says.
	fn try_contents() -> Result<(), TryRuntimeError> {
		let request = |id| -> Result<RequestOf<T>, TryRuntimeError> {
			Ok(Requests::<T>::get(id).ok_or("content of no request")?)
		};
		for (id, bytes) in Prompts::<T>::iter() {
			let request = request(id)?;
			ensure!(matches!(request.phase, Phase::Assigned(_)), "an ended request has a prompt");
			ensure!(content_hash(&bytes) == request.prompt_hash, "a prompt is another one");
		}
		for (id, bytes) in Answers::<T>::iter() {
			match request(id)?.phase {
				Phase::Answered(delivery) => ensure!(
					content_hash(&bytes) == delivery.answer_hash,
					"an answer is another one"
				),
				_ => return Err("a request that was not answered has an answer".into()),
			}
		}
		Ok(())
	}
}
