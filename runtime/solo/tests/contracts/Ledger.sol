// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// A small contract that touches what contracts touch: storage, events, value, reverts.
contract Ledger {
    event Paid(address indexed from, uint256 value, uint256 total);

    error NothingPaid();

    mapping(address => uint256) public paid;
    uint256 public total;

    function pay() external payable {
        if (msg.value == 0) revert NothingPaid();
        paid[msg.sender] += msg.value;
        total += msg.value;
        emit Paid(msg.sender, msg.value, total);
    }
}
